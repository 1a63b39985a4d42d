# Kafka: one broker that is its own controller (KRaft).

kafka_install() { fetch_jars; }

kafka_start() {
  local logs="-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"
  kafka_properties > server.properties
  if [ ! -e data ]; then
    if [ ! -e "$LIB/kafka-formatted" ]; then
      $JAVA $JVM $logs -cp "$LIB/kafka/*" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c server.properties
      cp -r data "$LIB/kafka-formatted"
    else
      cp -r "$LIB/kafka-formatted" data
    fi
  fi
  exec $JAVA $JVM $logs -Xms64m -Xmx256m "$(class_archive kafka)" -cp "$LIB/kafka/*" kafka.Kafka server.properties
}

kafka_ready() { listens $((BASE + 1)); }
kafka_env() { set_env KAFKA "$HOST:$((BASE + 1))"; }

kafka_properties() {
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$HOST:$((BASE + 2))
listeners=PLAINTEXT://$HOST:$((BASE + 1)),CONTROLLER://$HOST:$((BASE + 2))
advertised.listeners=PLAINTEXT://$HOST:$((BASE + 1))
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$RUN/kafka/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=8388608
PROPERTIES
}
