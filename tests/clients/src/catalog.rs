//! The clients, how each is started, and what each cannot do.

use std::process::Command;

use crate::server::workspace;

/// A client under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// confluent-kafka for Python, which is librdkafka.
    Confluent,
    /// kafka-python.
    KafkaPython,
    /// aiokafka.
    Aiokafka,
    /// `KafkaJS`.
    KafkaJs,
    /// Kafka's own Java client, with `ConsumerGroupCommand` for the admin part.
    Java,
    /// franz-go, with kadm for the admin part.
    Franz,
    /// sarama.
    Sarama,
}

/// What a client may not be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Keep its place in the group over a restart (KIP-345).
    RestartStatic,
    /// The same as the group's leader.
    RestartStaticLeader,
    /// Delete single committed offsets (`OffsetDelete`).
    DeleteOffsets,
    /// Delete a group.
    DeleteGroup,
    /// Go on as a member of its group while the server is away for a moment.
    OutliveServer,
}

/// One thing that one client cannot do, and why.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// Which client.
    pub client: Client,
    /// What it cannot do.
    pub verb: Verb,
    /// Why.
    pub reason: &'static str,
}

/// Everything that a scenario leaves out, for the client's sake and never for the server's.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        client: Client::KafkaJs,
        verb: Verb::RestartStatic,
        reason: "KafkaJS 2 has no group.instance.id",
    },
    Exception {
        client: Client::Franz,
        verb: Verb::RestartStaticLeader,
        reason: "a franz-go leader that restarts assigns anew by itself, and asks for a rebalance \
                 if that differs from what it got back (the limit of KIP-814 that it works around)",
    },
    Exception {
        client: Client::KafkaJs,
        verb: Verb::OutliveServer,
        reason: "KafkaJS 2 ends the consumer once it found no broker for some hundred milliseconds",
    },
    Exception {
        client: Client::Sarama,
        verb: Verb::OutliveServer,
        reason: "sarama ends its session and joins anew when a heartbeat finds no connection",
    },
    Exception {
        client: Client::KafkaJs,
        verb: Verb::DeleteOffsets,
        reason: "KafkaJS 2 has no OffsetDelete",
    },
    Exception {
        client: Client::Confluent,
        verb: Verb::DeleteOffsets,
        reason: "confluent-kafka does not wrap librdkafka's DeleteConsumerGroupOffsets",
    },
    Exception {
        client: Client::Aiokafka,
        verb: Verb::DeleteOffsets,
        reason: "aiokafka's admin client has no OffsetDelete",
    },
    Exception {
        client: Client::Aiokafka,
        verb: Verb::DeleteGroup,
        reason: "aiokafka's admin client has no DeleteGroups",
    },
];

impl Client {
    /// The name that `install.sh` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confluent => "confluent",
            Self::KafkaPython => "kafka-python",
            Self::Aiokafka => "aiokafka",
            Self::KafkaJs => "kafkajs",
            Self::Java => "java",
            Self::Franz => "franz",
            Self::Sarama => "sarama",
        }
    }

    /// Whether its driver's producer is idempotent (KIP-98).
    pub(crate) fn is_idempotent(self) -> bool {
        match self {
            Self::Confluent | Self::Java | Self::Franz => true,
            Self::KafkaPython | Self::Aiokafka | Self::KafkaJs | Self::Sarama => false,
        }
    }

    /// The reason why it cannot do `verb`, if so.
    pub fn lacks(self, verb: Verb) -> Option<&'static str> {
        let of_us = |exception: &&Exception| exception.client == self && exception.verb == verb;
        EXCEPTIONS
            .iter()
            .find(of_us)
            .map(|exception| exception.reason)
    }

    /// The command that starts its driver, less the driver's own arguments.
    pub(crate) fn driver(self) -> Command {
        let sources = workspace().join("tests/clients");
        let installed = workspace().join("target/clients");
        let python = |script: &str| {
            let mut command = Command::new(installed.join("python/bin/python"));
            command
                .arg(sources.join("python").join(script))
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        match self {
            Self::Confluent => python("confluent.py"),
            Self::KafkaPython => python("kafka_python.py"),
            Self::Aiokafka => python("aio.py"),
            Self::KafkaJs => {
                let mut command = Command::new("node");
                command.arg(installed.join("js/kafkajs.mjs"));
                command
            }
            Self::Java => {
                let mut command = Command::new("java");
                let classes = installed.join("java/classes");
                let jars = installed.join("java/libs/*");
                // Short lives on shared cores: the first compiler alone, and a small heap.
                command.args([
                    "-XX:TieredStopAtLevel=1",
                    "-XX:+UseSerialGC",
                    "-Xmx256m",
                    "-cp",
                ]);
                command
                    .arg(format!("{}:{}", classes.display(), jars.display()))
                    .arg("Driver");
                command
            }
            Self::Franz => Command::new(installed.join("go/franz")),
            Self::Sarama => Command::new(installed.join("go/sarama")),
        }
    }
}
