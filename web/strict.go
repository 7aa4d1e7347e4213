package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the longest body that is read, in bytes.
const maxBody = 1 << 20

// readBody decodes the body of the request into v, a pointer to a struct, and
// refuses everything that is not exactly one JSON object of known, distinct,
// present members of the right type. A v of *none has no body to read. It
// returns what it read.
func readBody(w http.ResponseWriter, r *http.Request, v any) (data []byte, err error) {
	if _, ok := v.(*none); ok {
		return nil, nil
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	data, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, newProblem(codeTimeout, "the body did not come in time")
	case err != nil:
		return nil, newProblem(codeBadRequest, "the body could not be read")
	case len(data) == 0:
		if _, ok := v.(interface{ optional() }); ok {
			return nil, nil
		}
		return nil, newProblem(codeInvalid, "a JSON object is required")
	}
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	return data, decode(data, v)
}

func tooLarge() *Problem {
	return newProblem(codeTooLarge, "the body may have at most "+strconv.Itoa(maxBody)+" bytes")
}

// checkMediaType refuses a body that does not say that it is plain JSON. What a
// browser sends across origins without asking first never does.
func checkMediaType(h http.Header) error {
	types, encodings := h.Values("Content-Type"), h.Values("Content-Encoding")
	if len(types) != 1 {
		return newProblem(codeMediaType, "the Content-Type must be application/json")
	}
	media, params, err := mime.ParseMediaType(types[0])
	charset, ok := params["charset"]
	if err != nil || media != "application/json" || len(params) > 1 || (len(params) == 1 && (!ok || !strings.EqualFold(charset, "utf-8"))) {
		return newProblem(codeMediaType, "the Content-Type must be application/json")
	}
	if len(encodings) > 1 || len(encodings) == 1 && encodings[0] != "identity" {
		return newProblem(codeMediaType, "the body must come without a Content-Encoding")
	}
	return nil
}

// strict are the options of decoding. Package json refuses duplicate names,
// names in another case, invalid UTF-8 and trailing data by itself.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(refuseNull)),
)

var errNull = errors.New("must not be null")

// refuseNull refuses null for every type but nullable: package json would take
// it for the zero value.
func refuseNull(dec *jsontext.Decoder, v any) error {
	if dec.PeekKind() == 'n' {
		if _, ok := v.(interface{ nullable() }); !ok {
			return errNull
		}
	}
	return errors.ErrUnsupported // leaves the value to package json
}

// decode decodes data into v, or returns a Problem that names the member.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v, strict)
	if err == nil {
		return nil
	}
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntax) && errors.Is(syntax.Err, jsontext.ErrDuplicateName):
		return newProblem(codeInvalid, "is there twice").at(fieldOf(syntax.JSONPointer))
	case errors.As(err, &syntax):
		return newProblem(codeInvalid, "the body is not valid JSON").at(fieldOf(syntax.JSONPointer))
	case errors.As(err, &semantic):
		return newProblem(codeInvalid, reasonOf(semantic)).at(fieldOf(semantic.JSONPointer))
	}
	return newProblem(codeInvalid, "the body is not valid JSON")
}

// reasonOf says what is wrong with a value, without repeating it.
func reasonOf(e *json.SemanticError) string {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return "is not a member here"
	case errors.Is(e.Err, errNull):
		return errNull.Error()
	case e.GoType == nil:
		return "has the wrong type"
	case e.GoType == reflect.TypeFor[time.Time]():
		return "must be a time as in RFC 3339, with its zone: 2026-11-21T20:00:00+01:00"
	}
	t := e.GoType
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Int, reflect.Int64:
		return "must be a whole number"
	case reflect.Float64:
		return "must be a number"
	case reflect.Slice:
		return "must be an array"
	case reflect.Struct:
		return "must be an object"
	default:
		return "has the wrong type"
	}
}

// maxDepth is how deep a member is named, which is deeper than any of ours: a
// refusal must not grow with what was sent.
const maxDepth = 5

// fieldOf returns the member that a JSON pointer names, as the rules of package
// session name it: agents[0].alias.
func fieldOf(p jsontext.Pointer) string {
	var b strings.Builder
	depth := 0
	for token := range p.Tokens() {
		if depth++; depth > maxDepth {
			break
		}
		if _, err := strconv.ParseUint(token, 10, 32); err == nil && b.Len() > 0 {
			b.WriteString("[" + token + "]")
			continue
		}
		name := memberName(token)
		if name == "" {
			break
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(name)
	}
	return b.String()
}

var sayable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\[\]-]{0,39}$`)

// memberName returns the name of a member for an answer, or "" for one that is
// longer or wilder than any name of ours: whoever puts a token there does not
// get it echoed.
func memberName(name string) string {
	if !sayable.MatchString(name) {
		return ""
	}
	return name
}

// nullable is a whole number for which null may stand too, meaning none.
type nullable struct{ Value *int64 }

func (*nullable) nullable() {}

// UnmarshalJSONFrom decodes a whole number or null.
func (n *nullable) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		_, err := dec.ReadToken()
		return err
	}
	n.Value = new(int64)
	return json.UnmarshalDecode(dec, n.Value)
}

// Schema documents a nullable.
func (nullable) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Nullable: true}
}
