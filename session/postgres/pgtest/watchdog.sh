# Waits until the test process has closed its end of the pipe, which the kernel does for it even when it is killed,
# then ends every process of the server and removes the folder. Runs in that folder; the file mark holds the text by
# which the processes are known (a file, so that this script and its grep do not carry the text themselves).
trap '' HUP INT TERM
read -r _

marked() { grep -lsFf mark /proc/[0-9]*/cmdline | cut -d/ -f3; }
send() { for pid in $(marked); do kill "-$1" "$pid" 2>/dev/null; done; }

# QUIT lets the server give back its shared memory; CONT is for one that a test froze.
send QUIT
send CONT
for _ in $(seq 100); do
	[ -n "$(marked)" ] || break
	sleep 0.05
done
send KILL

folder=$PWD
cd /
rm -rf "$folder"
