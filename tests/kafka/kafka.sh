#!/usr/bin/env bash
# Apache Kafka brokers (KRaft) for tests: on 127.0.0.1, each a process, all state in one folder.
#
#   kafka.sh install             fetch the jars from Maven Central, unless they are there
#   kafka.sh start FOLDER [N]    start N brokers (1 or 3; those of FOLDER, if it has been used before) and
#                                wait until they serve; those that run stay as they are
#   kafka.sh start-one FOLDER I  start broker I (1..N) alone
#   kafka.sh stop FOLDER [I]     end all brokers, or broker I, in good order
#   kafka.sh restart FOLDER I    stop and start-one
#   kafka.sh kill FOLDER [I]     kill -9
#   kafka.sh pause FOLDER I      SIGSTOP: it is there, and does not answer
#   kafka.sh resume FOLDER I     SIGCONT
#   kafka.sh status FOLDER       each broker's number, pid, state and address
#   kafka.sh bootstrap FOLDER    addresses for clients: 127.0.0.1:PORT,...; behind FOLDER `sasl`: those with passwords,
#                                `tls`: those with certificates
#   kafka.sh check               exit code 0 if Java and openssl are there and the jars are, or can be had
#
# Environment:
#   KAFKA_PORT        first of 4 ports a broker (clients, clients with password, clients with certificate,
#                     quorum); default: free ones
#   KAFKA_SASL        USER:PASSWORD: a second listener, SASL_PLAINTEXT with PLAIN, for this user
#   KAFKA_TLS         PASSWORD: a listener of kind SSL that asks for a certificate; for clients FOLDER/tls has
#                     ca.pem, client.pem, and client.key with this password
#   KAFKA_HEAP        of each broker; default 384m
#   KAFKA_JVM         Java's options; default those of a quick start, not of speed
#   KAFKA_OWNER       a process: brokers started now are killed when it is gone
#   KAFKA_START_S     how long a start may take; default 90
#   KAFKA_JARS        where the jars are; default ${XDG_CACHE_HOME:-~/.cache}/bettong/kafka-3.9.1
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

VERSION=3.9.1
JARS=${KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/bettong/kafka-$VERSION}
HEAP=${KAFKA_HEAP:-384m}
# On one thread of garbage collection and with the quick compiler only: it starts in half the time.
JVM=${KAFKA_JVM:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}
START_S=${KAFKA_START_S:-90}
STOP_S=20
# What a broker says when it takes clients.
STARTED='Kafka Server started'

say() { echo "kafka: $*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }

# -- jars -----------------------------------------------------------------------------------------------------

# A file that is written last: all jars are there.
installed() { [ -e "$JARS/complete" ]; }

check() {
  command -v java >/dev/null || die "no java: install the Debian package openjdk-17-jre-headless"
  command -v openssl >/dev/null || die "no openssl: install the Debian package openssl"
  installed || command -v mvn >/dev/null || die "no Kafka in $JARS, and no mvn: install the Debian package maven"
}

install() {
  check
  installed && return
  say "fetching Apache Kafka $VERSION into $JARS"
  local new=$JARS.new.$$
  mkdir -p "$new"
  if ! mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies "-Dkafka.version=$VERSION" "-DoutputDirectory=$new" >&2; then
    rm -rf "$new"
    die "Maven could not fetch Apache Kafka $VERSION"
  fi
  touch "$new/complete"
  # Somebody else may have been faster.
  installed || { rm -rf "$JARS" && mv -T "$new" "$JARS"; } || true
  rm -rf "$new"
  installed || die "$JARS is not complete"
}

# -- a folder of brokers --------------------------------------------------------------------------------------
#
#   FOLDER/cluster            COUNT FIRST_PORT CLUSTER_ID, then USER:PASSWORD or -, then tls or -
#   FOLDER/tls/               ca.pem, broker.pem (with its key), client.pem, client.key
#   FOLDER/broker-I/          server.properties, data/, log (what it has said), pid

folder=
count=0
first_port=0
cluster_id=
sasl=
tls=

load() {
  folder=$1
  [ -e "$folder/cluster" ] || die "no brokers in $folder"
  read -r count first_port cluster_id sasl tls <"$folder/cluster"
  [ "$sasl" != - ] || sasl=
  [ "$tls" != - ] || tls=
}

home() { echo "$folder/broker-$1"; }
client_port() { echo $((first_port + 4 * ($1 - 1))); }
sasl_port() { echo $((first_port + 4 * ($1 - 1) + 1)); }
tls_port() { echo $((first_port + 4 * ($1 - 1) + 2)); }
quorum_port() { echo $((first_port + 4 * ($1 - 1) + 3)); }

must_exist() {
  local i
  for ((i = 1; i <= count; i++)); do [ "$1" != "$i" ] || return 0; done
  die "no broker $1 in $folder"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the system gives to clients.
choose_ports() {
  local need=$1 try first port
  for try in {1..50}; do
    first=$((20000 + RANDOM % 11000))
    for ((port = first; port < first + need; port++)); do port_is_free "$port" || continue 2; done
    echo "$first"
    return
  done
  die "no $need free ports in a row after $try tries"
}

# 16 random bytes as Kafka writes them; one that begins with a dash would look like an option.
new_cluster_id() {
  local id
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_')
  echo "B${id:1:21}"
}

make_cluster() {
  local brokers=$1
  [ "$brokers" = 1 ] || [ "$brokers" = 3 ] || die "1 or 3 brokers, not $brokers"
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  local port=${KAFKA_PORT:-}
  [ -n "$port" ] || port=$(choose_ports $((4 * brokers)))
  local tls=-
  if [ -n "${KAFKA_TLS:-}" ]; then
    make_certificates
    tls=tls
  fi
  echo "$brokers $port $(new_cluster_id) ${KAFKA_SASL:--} $tls" >"$folder/cluster"
}

# An authority, and what it has signed: the brokers' certificate, for 127.0.0.1 only, and a client's.
make_certificates() {
  local at=$folder/tls
  mkdir -p "$at"
  certify -keyout "$at/ca.key" -out "$at/ca.pem" -noenc -subj "/CN=the tests' authority"
  certify -keyout "$at/broker.key" -out "$at/broker.pem" -noenc -subj /CN=broker \
    -CA "$at/ca.pem" -CAkey "$at/ca.key" -addext subjectAltName=IP:127.0.0.1
  certify -keyout "$at/client.key" -out "$at/client.pem" -passout env:KAFKA_TLS -subj /CN=client \
    -CA "$at/ca.pem" -CAkey "$at/ca.key"
  cat "$at/broker.key" >>"$at/broker.pem"
}

certify() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 30 "$@" 2>"$folder/tls/openssl.log" \
    || die "openssl: $(tail -3 "$folder/tls/openssl.log")"
}

write_properties() {
  local i=$1 voters='' j
  for ((j = 1; j <= count; j++)); do voters+="${voters:+,}$j@127.0.0.1:$(quorum_port "$j")"; done
  local listeners advertised
  advertised="PLAINTEXT://127.0.0.1:$(client_port "$i")"
  [ -z "$sasl" ] || advertised+=",SASL_PLAINTEXT://127.0.0.1:$(sasl_port "$i")"
  [ -z "$tls" ] || advertised+=",SSL://127.0.0.1:$(tls_port "$i")"
  listeners="$advertised,CONTROLLER://127.0.0.1:$(quorum_port "$i")"
  # As many copies as brokers; a write must be on two of three.
  local copies=$count in_sync=$((count > 1 ? 2 : 1))
  cat <<END
process.roles=broker,controller
node.id=$i
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=$listeners
advertised.listeners=$advertised
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
log.dirs=$(home "$i")/data
auto.create.topics.enable=false
unclean.leader.election.enable=false
num.partitions=4
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$copies
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
# A broker that is gone is noticed soon, and leaves soon.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controlled.shutdown.max.retries=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Topics are removed soon after they are deleted, records soon after their time.
log.segment.delete.delay.ms=1000
log.retention.check.interval.ms=5000
# Little of everything.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=2097152
socket.request.max.bytes=104857600
END
  [ -z "$sasl" ] || cat <<END
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${sasl%%:*}="${sasl#*:}";
END
  [ -z "$tls" ] || cat <<END
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=$folder/tls/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$folder/tls/ca.pem
END
}

# -- processes ------------------------------------------------------------------------------------------------

# The pid of broker $1, if that process is there and is this broker.
broker_pid() {
  local pid
  pid=$(cat "$(home "$1")/pid" 2>/dev/null) || return 1
  tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$(home "$1")/server.properties" || return 1
  echo "$pid"
}

java_with() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$JARS/*" "$@"; }

format() {
  local i=$1
  [ ! -e "$(home "$i")/data/meta.properties" ] || return 0
  java_with -Xmx128m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn kafka.tools.StorageTool format \
    -t "$cluster_id" -c "$(home "$i")/server.properties" >"$(home "$i")/format.log" 2>&1 \
    || die "broker $i: formatting failed: $(tail -3 "$(home "$i")/format.log")"
}

# Starts broker $1, unless it runs; does not wait.
launch() {
  local i=$1 pid
  ! broker_pid "$i" >/dev/null || return 0
  mkdir -p "$(home "$i")"
  write_properties "$i" >"$(home "$i")/server.properties"
  format "$i"
  [ ! -e "$(home "$i")/log" ] || mv "$(home "$i")/log" "$(home "$i")/log.before"
  : >"$(home "$i")/log"
  # Its own session: a Ctrl-C at the terminal is for the tests alone.
  # shellcheck disable=SC2086  # options are words
  setsid java -Xms"$HEAP" -Xmx"$HEAP" $JVM \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
    -Dorg.slf4j.simpleLogger.showDateTime=true '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS' \
    -cp "$JARS/*" kafka.Kafka "$(home "$i")/server.properties" \
    </dev/null >>"$(home "$i")/log" 2>&1 &
  pid=$!
  echo "$pid" >"$(home "$i")/pid"
  [ -z "${KAFKA_OWNER:-}" ] || end_with "$KAFKA_OWNER" "$pid"
}

# Kills process $2 once process $1 is gone.
end_with() {
  # shellcheck disable=SC2016  # the inner shell expands these
  setsid bash -c 'while kill -0 "$1" && kill -0 "$2"; do sleep 1; done; kill -9 "$2"' \
    end_with "$1" "$2" </dev/null >/dev/null 2>&1 &
}

await_start() {
  local i=$1 end=$((SECONDS + START_S)) log pid
  log=$(home "$i")/log
  pid=$(cat "$(home "$i")/pid")
  until grep -q "$STARTED" "$log"; do
    # For a moment it is there and not called java yet.
    ! has_ended "$pid" || die "broker $i ended: $(tail -5 "$log")"
    [ $SECONDS -lt $end ] || die "broker $i did not start within $START_S s: $(tail -5 "$log")"
    sleep 0.1
  done
}

has_ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

await_end() {
  local pid=$1 end=$((SECONDS + $2))
  until has_ended "$pid"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

# Sends signal $2 to broker $1, if it runs, and waits for its end. One that does not end is killed: the last
# of several brokers waits in vain for a quorum.
end_broker() {
  local i=$1 pid
  pid=$(broker_pid "$i") || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  [ "$2" != TERM ] || kill -CONT "$pid" 2>/dev/null || true
  if ! await_end "$pid" "$STOP_S"; then
    kill -9 "$pid" 2>/dev/null || true
    await_end "$pid" "$STOP_S" || die "broker $i, process $pid, does not end"
  fi
  rm -f "$(home "$i")/pid"
}

end_brokers() {
  local i
  for i in $2; do end_broker "$i" "$1" & done
  wait
}

signal_one() {
  local pid
  pid=$(broker_pid "$1") || die "broker $1 does not run"
  kill "-$2" "$pid"
}

start_all() {
  folder=$1
  install
  [ -e "$folder/cluster" ] || make_cluster "${2:-1}"
  load "$folder"
  [ -z "${2:-}" ] || [ "$2" = "$count" ] || die "$folder is of $count brokers, not $2"
  local i formatting=()
  for ((i = 1; i <= count; i++)); do launch "$i" & formatting+=($!); done
  for i in "${formatting[@]}"; do wait "$i" || die "not all brokers were started"; done
  for ((i = 1; i <= count; i++)); do await_start "$i"; done
}

start_one() { launch "$1"; await_start "$1"; }

status() {
  local i pid state
  for ((i = 1; i <= count; i++)); do
    state=gone
    if pid=$(broker_pid "$i"); then
      state=running
      ! grep -q '^State:.*T' "/proc/$pid/status" || state=paused
    fi
    echo "$i ${pid:--} $state 127.0.0.1:$(client_port "$i")"
  done
}

bootstrap() {
  local kind=$1 i addresses=''
  case $kind in
    client) ;;
    sasl) [ -n "$sasl" ] || die "$folder has no listener with passwords: KAFKA_SASL" ;;
    tls) [ -n "$tls" ] || die "$folder has no listener with certificates: KAFKA_TLS" ;;
    *) usage ;;
  esac
  for ((i = 1; i <= count; i++)); do addresses+="${addresses:+,}127.0.0.1:$("${kind}_port" "$i")"; done
  echo "$addresses"
}

# -- commands -------------------------------------------------------------------------------------------------

command=${1:-}
case $command in
  install | check) "$command"; exit ;;
  start | start-one | stop | restart | kill | pause | resume | status | bootstrap) [ $# -ge 2 ] || usage ;;
  *) usage ;;
esac

if [ "$command" = start ]; then
  start_all "$2" "${3:-}"
  exit
fi

load "$2"
which=${3:-}
case $command in
  start-one | restart | pause | resume) must_exist "$which" ;;
  stop | kill) [ -z "$which" ] || must_exist "$which" ;;
esac
case $command in
  start-one) start_one "$which" ;;
  restart) end_broker "$which" TERM; start_one "$which" ;;
  stop) end_brokers TERM "${which:-$(seq "$count")}" ;;
  kill) end_brokers KILL "${which:-$(seq "$count")}" ;;
  pause) signal_one "$which" STOP ;;
  resume) signal_one "$which" CONT ;;
  status) status ;;
  bootstrap) bootstrap "${which:-client}" ;;
esac
