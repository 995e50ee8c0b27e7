# The inside of a cell: nodes, each in a network namespace of its own, and the links between them.
#
# Runs in mount, process and network namespaces that end with the test: nothing here has to be taken down.
# Expects: binary (path of grapevine), mesh (the mesh's directory).

declare -A pids numbers
set +m

open_cell() {
  local point
  # What is mounted outside has no place here.
  grep ' fuse.grapevine ' /proc/mounts | while read -r _ point _; do umount -l "$point"; done
  mount -t tmpfs tmpfs /run
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

# add_link NAME NUMBER: a namespace for the node, at 10.77.NUMBER.2, routed through the cell.
add_link() {
  numbers[$1]=$2
  ip netns add "$1" &&
    ip link add "v$2" type veth peer name eth0 netns "$1" &&
    ip addr add "10.77.$2.1/24" dev "v$2" && ip link set "v$2" up &&
    ip -n "$1" addr add "10.77.$2.2/24" dev eth0 && ip -n "$1" link set eth0 up && ip -n "$1" link set lo up &&
    ip -n "$1" route add default via "10.77.$2.1"
}

# quicken NAME: timing for one machine instead of the world.
quicken() { sed -i 's/^profile = .*/profile = "local"/' "$mesh/$1/grapevine.toml"; }

# start_node NAME: returns when it is mounted.
start_node() {
  local ready="$mesh/$1.ready" line=""
  [ -p "$ready" ] || mkfifo "$ready"
  nsenter --net="/run/netns/$1" "$binary" up --config "$mesh/$1/grapevine.toml" --ready-fd 9 \
    9>"$ready" </dev/null >>"$mesh/$1.log" 2>&1 &
  pids[$1]=$!
  read -r -t 90 line <"$ready" || true
  [ "$line" = ready ] || { echo "node $1 did not start:"; tail -n 20 "$mesh/$1.log"; return 1; }
}

# stop_node NAME: by SIGTERM; it must end by itself with status 0.
stop_node() {
  local status=0 pid=${pids[$1]}
  kill -TERM "$pid"
  ( sleep 60; kill -KILL "$pid" ) 2>/dev/null &
  local guard=$!
  wait "$pid" || status=$?
  kill "$guard" 2>/dev/null; wait "$guard" 2>/dev/null
  [ "$status" = 0 ] || { echo "node $1 ended with $status:"; tail -n 20 "$mesh/$1.log"; return 1; }
}

kill_node() { kill -KILL "${pids[$1]}" && { wait "${pids[$1]}" 2>/dev/null || true; }; }
freeze_node() { kill -STOP "${pids[$1]}"; }
thaw_node() { kill -CONT "${pids[$1]}"; }

# cut_link FROM TO: packets from one node to another vanish. Replies still pass: cut both ways for a partition.
cut_link() { ip rule add pref 100 from "10.77.${numbers[$1]}.2" to "10.77.${numbers[$2]}.2" blackhole; }

# heal: every link carries packets again.
heal() { while ip rule del pref 100 2>/dev/null; do :; done; }

# mounted: how many volumes are.
mounted() { grep -c ' fuse.grapevine ' /proc/mounts || true; }

# on NAME COMMAND...: runs a command where the node is on the network.
on() { local name=$1; shift; nsenter --net="/run/netns/$name" "$@"; }
