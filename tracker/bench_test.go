package tracker

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
)

// framesOf returns a frame with n pings as a phone sends it.
func framesOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"pings","pings":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"seq":%d,"timestamp":%d,"latitude":48.8466%03d,"longitude":2.4167%03d,"accuracy":6.5,`+
			`"altitude":61.2,"heading":87.5,"speed":1.4,"battery":0.81,"mock":false}`, i+1, 1795255200250+int64(i)*1000, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// BenchmarkDecode shows what a frame costs before anything is decided on it.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			data := framesOf(n)
			var d decoder
			buf := make([]ping, 0, maxBatch)
			b.ReportAllocs()
			for b.Loop() {
				f, err := d.decode(data, buf)
				if err != nil || len(f.pings) != n {
					b.Fatal(err, len(f.pings))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/ping")
		})
	}
}
