#!/usr/bin/env bash
# Records the captures of real sessions that captures/ is made from: real OpenSSH, real TLS, russh without encryption,
# and a run of tunnelcheck itself. Needs root, iproute2, ethtool, tcpdump, openssh-server, openssl, python3.
# Usage: tests/record-captures.sh PROGRAM FOLDER [NAME...]     without names: all
# Every run gives other keys and so other octets: record again only where a case is to change.
set -euo pipefail
program=$(realpath "$1")
out=$(realpath "$2")
shift 2
wanted=" $* "
work=$(mktemp -d)
p=tcrec$$
declare -a children=()
cleanup() {
  exec 8>&- || true
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
  for host in client gateway mail hub; do ip netns del "$p-$host" 2>/dev/null || true; done
  rm -rf "$work" "/etc/netns/$p-gateway"
}
trap cleanup EXIT

on() { ip netns exec "$p-$1" "${@:2}"; }
# HOST COMMAND...: in the background. `ip netns exec` becomes the command, so that its number is the command's own.
# Servers of the lab serve until standard input ends: the pipe that this script alone holds open.
background() { ip netns exec "$p-$1" "${@:2}" <"$work/stdin" >>"$work/out.log" 2>&1 8>&- & children+=($!); }
mkfifo "$work/stdin"
exec 8<>"$work/stdin"

for host in client gateway mail hub; do
  ip netns add "$p-$host"
  on "$host" ip link set lo up
done
on hub ip link add hub type bridge
on hub ip link set hub type bridge ageing_time 0
on hub ip link set hub up
for host in client gateway; do
  ip link add "v-$host" netns "$p-hub" type veth peer name eth0 netns "$p-$host"
  on hub ip link set "v-$host" master hub up
  on "$host" ethtool -K eth0 tso off gso off gro off tx off rx off >/dev/null 2>&1
  on hub ethtool -K "v-$host" tso off gso off gro off tx off rx off >/dev/null 2>&1
done
on gateway ip link add eth1 type veth peer name eth0 netns "$p-mail"
on client ip addr add 10.77.0.10/24 dev eth0
on client ip addr add fd77::10/64 dev eth0 nodad
on gateway ip addr add 10.77.0.20/24 dev eth0
on gateway ip addr add fd77::20/64 dev eth0 nodad
on gateway ip addr add 10.77.1.20/24 dev eth1
on mail ip addr add 10.77.1.30/24 dev eth0
on mail ip addr add 10.77.1.31/24 dev eth0
for end in client:eth0 gateway:eth0 gateway:eth1 mail:eth0; do on "${end%:*}" ip link set "${end#*:}" up; done
on client ip route add 10.77.1.0/24 via 10.77.0.20
on mail ip route add 10.77.0.0/24 via 10.77.1.20
on gateway sysctl -qw net.ipv4.ip_forward=1

mkdir -p /run/sshd "/etc/netns/$p-gateway"
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/user_key"
cp "$work/user_key.pub" "$work/authorized_keys"
cat > "$work/sshd_config" <<CONFIG
HostKey $work/host_key
AuthorizedKeysFile $work/authorized_keys
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
CONFIG
printf '127.0.0.1 localhost\n10.77.1.30 dnd.dartmouth.edu dasher.dartmouth.edu\n' > "/etc/netns/$p-gateway/hosts"
background gateway /usr/sbin/sshd -D -e -f "$work/sshd_config" -p 22
background mail "$program" lab mail-servers --at 10.77.1.30
background gateway "$program" lab gateway --at 10.77.0.20:2222 --plain --name dnd.dartmouth.edu=10.77.1.30
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=mail.dartmouth.edu" \
  -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
sleep 1.5

ssh_options=(-i "$work/user_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
  -o ServerAliveInterval=1 -o ExitOnForwardFailure=yes -F none)

# NAME COMMAND...: what crosses the hub while the command runs.
record() {
  local name=$1; shift
  case "$wanted" in "  " | *" $name "*) ;; *) return 0 ;; esac
  : >"$work/tcpdump.log"
  ip netns exec "$p-hub" tcpdump --immediate-mode -q -n -U -s 0 -i hub -w "$work/$name.pcap" not arp and not icmp6 2>"$work/tcpdump.log" &
  local sniffer=$!
  children+=("$sniffer")
  for _ in $(seq 50); do grep -q "listening on" "$work/tcpdump.log" && break; sleep 0.1; done
  "$@"
  sleep 0.5
  kill -INT "$sniffer"; wait "$sniffer" || true
  cp "$work/$name.pcap" "$out/$name.pcap"
  ls -l "$out/$name.pcap"
}

# GATEWAY FORWARDS... -- STEPS...: what the mail user does while the tunnel is up. A step that fails ends the script.
tunnel() {
  local gateway=$1; shift
  local forwards=()
  while [ "$1" != -- ]; do forwards+=(-L "$1"); shift; done
  shift
  ip netns exec "$p-client" ssh "${ssh_options[@]}" -N "${forwards[@]}" "root@$gateway" </dev/null >>"$work/out.log" 2>&1 8>&- &
  local tunnel=$!
  children+=("$tunnel")
  for _ in $(seq 50); do on client ss -Hltn | grep -q "127.0.0.1:" && break; sleep 0.1; done
  on client "$program" lab user "$@"
  sleep 0.2
  kill "$tunnel"; wait "$tunnel" 2>/dev/null || true
}

forwards=(902:dnd.dartmouth.edu:902 2151:dasher.dartmouth.edu:2151)
session=(dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151)
record ssh-blitzmail tunnel 10.77.0.20 "${forwards[@]}" -- "${session[@]}"
record ssh-pop3 tunnel 10.77.0.20 2003:dasher.dartmouth.edu:110 -- pop3@127.0.0.1:2003
record ssh-idle tunnel 10.77.0.20 "${forwards[@]}" -- wait@20000
record ssh-ipv6 tunnel fd77::20 "${forwards[@]}" -- "${session[@]}"
record ssh-bulletins tunnel 10.77.0.20 "${forwards[@]}" -- dnd@127.0.0.1:902 bulletins@10.77.1.30:1119
record ssh-notify tunnel 10.77.0.20 "${forwards[@]}" -- "${session[@]}" notify@10.77.1.30:2154

# An SSH session that agrees to the cipher none.
plain() {
  mkfifo "$work/plain"
  exec 7<>"$work/plain"
  ip netns exec "$p-client" "$program" lab plain-client --gateway 10.77.0.20:2222 --plain \
    --forward 127.0.0.1:902=dnd.dartmouth.edu:902 <"$work/plain" >>"$work/out.log" 2>&1 7>&- 8>&- &
  local client=$!
  children+=("$client")
  sleep 1
  on client "$program" lab user dnd@127.0.0.1:902
  kill "$client"; wait "$client" 2>/dev/null || true
  exec 7>&-
}
record ssh-none plain

# POP3 with TLS from the start, and by STLS: the lines of the server are few, the TLS is real.
cat > "$work/pop3.py" <<'PYTHON'
import poplib, socket, ssl, sys, threading
side, mode, port, ciphers = sys.argv[1:5]
folder = sys.argv[5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
if ciphers == "tls12":
    context.maximum_version = ssl.TLSVersion.TLSv1_2
elif ciphers == "null":
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("NULL-SHA256:@SECLEVEL=0")
if side == "server":
    context.load_cert_chain(folder + "/tls.pem", folder + "/tls.key")
    listener = socket.create_server(("10.77.1.31", int(port)))
    conn, _ = listener.accept()
    if mode == "tls":
        conn = context.wrap_socket(conn, server_side=True)
    reader = conn.makefile("rb")
    def say(text): conn.sendall(text.encode() + b"\r\n")
    say("+OK BlitzMail POP3 Server Ready.")
    while True:
        words = reader.readline().decode().split()
        verb = words[0].upper() if words else "QUIT"
        if verb == "STLS":
            say("+OK Begin TLS.")
            conn = context.wrap_socket(conn, server_side=True)
            reader = conn.makefile("rb")
        elif verb == "CAPA": say("+OK\r\nSTLS\r\nUSER\r\n.")
        elif verb == "RETR":
            say("+OK 152 octets\r\nFrom: Marion Bates\r\nTo: John Smith\r\nSubject: Sleigh list\r\n\r\nThe list is in your folder.\r\n.")
        elif verb == "STAT": say("+OK 1 152")
        elif verb == "QUIT":
            say("+OK Bye."); break
        else: say("+OK jsmith")
    conn.close()
else:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if mode == "tls":
        class Named(poplib.POP3_SSL):
            def _create_socket(self, timeout):
                plain = socket.create_connection((self.host, self.port), 5)
                return context.wrap_socket(plain, server_hostname="mail.dartmouth.edu")
        mail = Named("10.77.1.31", int(port), context=context)
    else:
        mail = poplib.POP3("10.77.1.31", int(port), 5)
        mail.host = "mail.dartmouth.edu"
        mail.capa()
        mail.stls(context)
    mail.user("jsmith"); mail.pass_("sleigh-bells"); mail.stat(); mail.retr(1); mail.quit()
PYTHON
tls() { # MODE PORT CIPHERS
  ip netns exec "$p-mail" python3 "$work/pop3.py" server "$@" "$work" </dev/null >>"$work/out.log" 2>&1 8>&- &
  local server=$!
  children+=("$server")
  for _ in $(seq 50); do on mail ss -Hltn | grep -q "10.77.1.31:$2 " && break; sleep 0.1; done
  on client python3 "$work/pop3.py" client "$@" "$work"
  wait "$server"
}
record pop3s tls tls 995 any
record pop3s-tls12 tls tls 996 tls12
record tls-null tls tls 997 null
record stls tls stls 110 any

# A run of tunnelcheck, recorded by itself: with its control, its drop counters and its phases.
own() {
  local folder="$work/own"
  mkdir -p "$folder"
  cat > "$folder/tunnelcheck.toml" <<CONFIG
[target.own]
gateway = "root@10.77.0.20"
identity_file = "$work/user_key"
known_hosts = "$work/known_hosts"
[target.own.identifiers]
username = ["jsmith", "John Smith"]
folders = ["Reindeer Games"]
[[target.own.service]]
name = "dnd"
kind = "dnd"
host = "dnd.dartmouth.edu"
address = ["10.77.1.30"]
port = 902
[[target.own.service]]
name = "mail"
kind = "blitzmail"
host = "dasher.dartmouth.edu"
address = ["10.77.1.30"]
port = 2151
CONFIG
  printf '10.77.0.20 %s\n' "$(cut -d' ' -f1,2 "$work/host_key.pub")" > "$work/known_hosts"
  (cd "$folder" && on client "$program" --expect-encrypted own --record "$folder/own-run.pcapng" -i eth0 \
    -- "$program" lab user "${session[@]}" </dev/null)
  install -m 644 "$folder/own-run.pcapng" "$out/own-run.pcapng"
  ls -l "$out/own-run.pcapng"
}
case "$wanted" in "  " | *" own-run "*) own ;; esac
