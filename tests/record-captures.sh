#!/usr/bin/env bash
# Records the captures of real sessions that captures/ is made from: real OpenSSH, real TLS, russh without encryption.
# Needs root, iproute2, tcpdump, openssh-server, openssl, netcat. Usage: tests/record-captures.sh PROGRAM FOLDER
# Every run gives other keys and so other octets: record again only where a case is to change.
set -euo pipefail
program=$(realpath "$1")
out=$(realpath "$2")
work=$(mktemp -d)
p=tcrec$$
declare -a children=()
cleanup() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  for host in client gateway mail hub; do ip netns del "$p-$host" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

on() { ip netns exec "$p-$1" "${@:2}"; }
# A background job is started without `on`: killing a shell function would leave its child.
background() { "$@" & children+=($!); }

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
for end in client:eth0 gateway:eth0 gateway:eth1 mail:eth0; do on "${end%:*}" ip link set "${end#*:}" up; done
on client ip route add 10.77.1.0/24 via 10.77.0.20
on mail ip route add 10.77.0.0/24 via 10.77.1.20
on gateway sysctl -qw net.ipv4.ip_forward=1

mkdir -p /run/sshd "$work/etc"
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
printf '10.77.1.30 dnd.dartmouth.edu dasher.dartmouth.edu\n' > "$work/hosts"
mkdir -p "/etc/netns/$p-gateway"
cp "$work/hosts" "/etc/netns/$p-gateway/hosts"
trap 'cleanup; rm -rf /etc/netns/'"$p"'-gateway' EXIT
background ip netns exec "$p-gateway" /usr/sbin/sshd -D -e -f "$work/sshd_config" -p 22 2>"$work/sshd.log"
background ip netns exec "$p-mail" sh -c "sleep 100000 | '$program' lab mail-servers --at 10.77.1.30" >/dev/null
background ip netns exec "$p-gateway" sh -c "sleep 100000 | '$program' lab gateway --at 10.77.0.20:2222 --plain --name dnd.dartmouth.edu=10.77.1.30" >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=mail.dartmouth.edu" \
  -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
sleep 1.5

ssh_options=(-i "$work/user_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
  -o ServerAliveInterval=1 -F none)

# record NAME COMMAND...: what crosses the hub while the command runs.
record() {
  local name=$1; shift
  ip netns exec "$p-hub" tcpdump -q -n -U -s 0 -i hub -w "$work/$name.pcap" not arp and not icmp6 2>"$work/tcpdump.log" &
  local sniffer=$!
  for _ in $(seq 50); do grep -q "listening on" "$work/tcpdump.log" && break; sleep 0.1; done
  "$@"
  sleep 0.5
  kill -INT "$sniffer"; wait "$sniffer" || true
  cp "$work/$name.pcap" "$out/$name.pcap"
  ls -l "$out/$name.pcap"
}

tunnel() { # SECONDS GATEWAY FORWARDS... -- COMMAND...
  local seconds=$1 gateway=$2; shift 2
  local forwards=()
  while [ "$1" != -- ]; do forwards+=(-L "$1"); shift; done
  shift
  ip netns exec "$p-client" ssh "${ssh_options[@]}" -N "${forwards[@]}" "root@$gateway" &
  local tunnel=$!
  sleep 1
  if [ $# -gt 0 ]; then on client "$@"; fi
  sleep "$seconds"
  kill "$tunnel"; wait "$tunnel" 2>/dev/null || true
}

forwards=(902:dnd.dartmouth.edu:902 2151:dasher.dartmouth.edu:2151)
record ssh-blitzmail tunnel 0.2 10.77.0.20 "${forwards[@]}" -- "$program" lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151
record ssh-pop3 tunnel 0.2 10.77.0.20 2003:dasher.dartmouth.edu:110 -- "$program" lab user pop3@127.0.0.1:2003
record ssh-idle tunnel 5 10.77.0.20 "${forwards[@]}" --
record ssh-ipv6 tunnel 0.2 fd77::20 "${forwards[@]}" -- "$program" lab user dnd@127.0.0.1:902

plain() {
  ip netns exec "$p-client" sh -c "sleep 2 | '$program' lab plain-client --gateway 10.77.0.20:2222 --plain --forward 127.0.0.1:902=dnd.dartmouth.edu:902" >/dev/null &
  local client=$!
  sleep 1
  on client "$program" lab user dnd@127.0.0.1:902
  wait "$client"
}
record ssh-none plain

# A POP3 server behind TLS: its lines come from a script, the TLS is real.
pop3_lines=$'+OK BlitzMail POP3 Server Ready.\r\n+OK Password required.\r\n+OK jsmith has 1 message.\r\n+OK 1 152\r\n+OK Bye.\r\n'
client_lines() { for line in "USER jsmith" "PASS sleigh-bells" "STAT" "QUIT"; do printf '%s\r\n' "$line"; sleep 0.1; done; sleep 0.2; }
tls() { # PORT SERVER_OPTIONS -- CLIENT_OPTIONS
  local port=$1; shift
  local server=()
  while [ "$1" != -- ]; do server+=("$1"); shift; done
  shift
  (sleep 1; printf '%s' "$pop3_lines"; sleep 2) |
    on mail openssl s_server -quiet -accept "10.77.1.30:$port" -naccept 1 -key "$work/tls.key" -cert "$work/tls.pem" "${server[@]}" >/dev/null 2>&1 &
  local listener=$!
  sleep 0.5
  (sleep 0.7; client_lines) | on client openssl s_client -quiet -connect "10.77.1.30:$port" "$@" >/dev/null 2>&1 || true
  wait "$listener" || true
}
record pop3s tls 995 -tls1_3 -- -servername mail.dartmouth.edu
record pop3s-tls12 tls 996 -tls1_2 -- -servername mail.dartmouth.edu
record tls-null tls 997 -tls1_2 -cipher NULL-SHA256:@SECLEVEL=0 -- -tls1_2 -cipher NULL-SHA256:@SECLEVEL=0
