//! Every client through every scenario; `cargo test -p clients` runs two at a time.

use clients::{Client, Failure, run, scenario};

macro_rules! client {
    ($module:ident, $client:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn resumes_where_it_committed() -> Result<(), Failure> {
                run($client, "basic", scenario::basic)
            }

            #[test]
            fn shares_a_topic_out_as_members_join_and_leave() -> Result<(), Failure> {
                run($client, "join-leave", scenario::join_leave)
            }

            #[test]
            fn takes_over_from_a_killed_member() -> Result<(), Failure> {
                run($client, "kill", scenario::kill)
            }

            #[test]
            fn goes_on_over_kills_of_the_server() -> Result<(), Failure> {
                run($client, "server-killed", scenario::server_killed)
            }

            #[test]
            fn restarts_a_static_member_unnoticed() -> Result<(), Failure> {
                run($client, "static", scenario::static_restart)
            }

            #[test]
            fn administers_groups_and_offsets() -> Result<(), Failure> {
                run($client, "admin", scenario::admin)
            }
        }
    };
}

client!(confluent, Client::Confluent);
client!(kafka_python, Client::KafkaPython);
client!(aiokafka, Client::Aiokafka);
client!(kafkajs, Client::KafkaJs);
client!(java, Client::Java);
client!(franz, Client::Franz);
client!(sarama, Client::Sarama);

#[test]
fn confluent_transforms_exactly_once() -> Result<(), Failure> {
    run(Client::Confluent, "transform", scenario::transform)
}

#[test]
fn java_transforms_exactly_once() -> Result<(), Failure> {
    run(Client::Java, "transform", scenario::transform)
}

#[test]
fn franz_go_passes_its_own_transaction_tests() -> Result<(), Failure> {
    clients::franz_txn_etl()
}

#[test]
fn franz_go_passes_its_own_group_tests() -> Result<(), Failure> {
    clients::franz_group_etl()
}
