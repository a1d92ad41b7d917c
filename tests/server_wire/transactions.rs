//! Transactions over the wire, by hand.

use takhin_coordinator::wire::ApiKey;
use takhin_coordinator::wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
    ApiVersionsRequest, ApiVersionsResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse, FetchResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsRequestPartition,
    ListOffsetsRequestTopic, ListOffsetsResponse, ListTransactionsRequest,
    ListTransactionsResponse, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics, OffsetFetchResponse, ProduceResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
};

use crate::client::{Client, read};
use crate::node::Node;
use crate::records::{Topic, batch, batch_with, create, fetch_request, produce_request};

const TRANSACTIONAL: i16 = 1 << 4;

const NONE: i16 = 0;
const INVALID_REQUEST: i16 = 42;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
const CONCURRENT_TRANSACTIONS: i16 = 51;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const OPERATION_NOT_ATTEMPTED: i16 = 55;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
const TRANSACTION_ABORTABLE: i16 = 120;

/// A producer with a transactional id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Writer {
    pub(crate) id: &'static str,
    pub(crate) producer: (i64, i16),
}

pub(crate) fn init_as(
    client: &mut Client,
    version: i16,
    request: &InitProducerIdRequest<'_>,
) -> (i16, (i64, i16)) {
    let body = client.ask(ApiKey::InitProducerId, version, request);
    let given = read::<InitProducerIdResponse>(&body, version);
    (given.error_code, (given.producer_id, given.producer_epoch))
}

pub(crate) fn request(id: &str) -> InitProducerIdRequest<'_> {
    InitProducerIdRequest {
        transactional_id: Some(id),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    }
}

/// Begins, waiting for the end of what an earlier one left open.
pub(crate) fn init(client: &mut Client, id: &'static str) -> Writer {
    loop {
        match init_as(client, 5, &request(id)) {
            (NONE, producer) => return Writer { id, producer },
            (code, _) => assert_eq!(code, CONCURRENT_TRANSACTIONS),
        }
    }
}

fn add(client: &mut Client, version: i16, by: Writer, topics: &[(&str, &[i32])]) -> Vec<i16> {
    let named = topics
        .iter()
        .map(|(name, partitions)| AddPartitionsToTxnTopic {
            name,
            partitions: partitions.to_vec(),
        });
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: by.id,
        v3_and_below_producer_id: by.producer.0,
        v3_and_below_producer_epoch: by.producer.1,
        v3_and_below_topics: named.collect(),
        ..Default::default()
    };
    let body = client.ask(ApiKey::AddPartitionsToTxn, version, &request);
    let response = read::<AddPartitionsToTxnResponse<'_>>(&body, version);
    let topics = response.results_by_topic_v3_and_below.iter();
    let results = topics.flat_map(|topic| &topic.results_by_partition);
    results.map(|result| result.partition_error_code).collect()
}

/// Writes one record; the sequence is counted from the beginning of the epoch.
pub(crate) fn write(
    client: &mut Client,
    version: i16,
    topic: &Topic,
    by: Writer,
    sequence: i32,
) -> i16 {
    let (id, epoch) = by.producer;
    let records = batch_with(TRANSACTIONAL, b"v", (id, epoch, sequence));
    let mut request = produce_request(topic, version, -1, &records);
    request.transactional_id = Some(by.id);
    let body = client.ask(ApiKey::Produce, version, &request);
    let response = read::<ProduceResponse<'_>>(&body, version);
    response.responses[0].partition_responses[0].error_code
}

pub(crate) fn end(client: &mut Client, version: i16, by: Writer, committed: bool) -> (i16, Writer) {
    let request = EndTxnRequest {
        transactional_id: by.id,
        producer_id: by.producer.0,
        producer_epoch: by.producer.1,
        committed,
    };
    let body = client.ask(ApiKey::EndTxn, version, &request);
    let response = read::<EndTxnResponse>(&body, version);
    let producer = if version >= 5 {
        (response.producer_id, response.producer_epoch)
    } else {
        by.producer
    };
    (response.error_code, Writer { producer, ..by })
}

/// Reads partition 0 from the start: last stable offset, bytes of records, aborted transactions.
pub(crate) fn fetch(
    client: &mut Client,
    topic: &Topic,
    committed: bool,
) -> (i64, usize, Vec<(i64, i64)>) {
    let mut request = fetch_request(topic, 12, 0);
    request.isolation_level = committed.into();
    let body = client.ask(ApiKey::Fetch, 12, &request);
    let response = read::<FetchResponse<'_>>(&body, 12);
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let aborted = partition.aborted_transactions.iter().flatten();
    let aborted = aborted.map(|one| (one.producer_id, one.first_offset));
    (
        partition.last_stable_offset,
        partition.records.unwrap_or_default().len(),
        aborted.collect(),
    )
}

pub(crate) fn describe(client: &mut Client, id: &str) -> (i16, String, Vec<(String, Vec<i32>)>) {
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![id],
    };
    let body = client.ask(ApiKey::DescribeTransactions, 0, &request);
    let response = read::<DescribeTransactionsResponse<'_>>(&body, 0);
    let state = &response.transaction_states[0];
    assert_eq!(state.transactional_id, id);
    let topics = state.topics.iter();
    let topics = topics.map(|topic| (topic.topic.to_owned(), topic.partitions.clone()));
    (
        state.error_code,
        state.transaction_state.to_owned(),
        topics.collect(),
    )
}

#[test]
fn clients_learn_that_transactions_are_of_version_2() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let ask = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    };
    let body = client.ask(ApiKey::ApiVersions, 4, &ask);
    let response = read::<ApiVersionsResponse<'_>>(&body, 4);
    let supported = &response.supported_features[0];
    let finalized = &response.finalized_features[0];
    assert_eq!(
        (supported.name, supported.min_version, supported.max_version),
        ("transaction.version", 0, 2)
    );
    assert_eq!(
        (finalized.name, finalized.max_version_level),
        ("transaction.version", 2)
    );
    assert!(response.finalized_features_epoch >= 0);
}

#[test]
fn a_transaction_of_version_1_commits_and_aborts() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "version-1", 2);
    let by = init(&mut client, "one");
    assert_eq!(by.producer.1, 0);
    assert_eq!(add(&mut client, 3, by, &[("version-1", &[0, 1])]), [0, 0]);
    assert_eq!(write(&mut client, 11, &topic, by, 0), NONE);
    assert_eq!(fetch(&mut client, &topic, true), (0, 0, vec![]));
    let unread = fetch(&mut client, &topic, false);
    assert!(unread.1 > 0 && unread.0 == 0, "{unread:?}");
    assert_eq!(end(&mut client, 3, by, true).0, NONE);
    let one = fetch(&mut client, &topic, true);
    assert_eq!(one, (2, unread.1 + 78, vec![]));
    // The sequence goes on in the next one, which aborts.
    assert_eq!(add(&mut client, 0, by, &[("version-1", &[0])]), [0]);
    assert_eq!(write(&mut client, 9, &topic, by, 1), NONE);
    assert_eq!(end(&mut client, 0, by, false).0, NONE);
    let (stable, _, aborted) = fetch(&mut client, &topic, true);
    assert_eq!((stable, aborted), (4, vec![(by.producer.0, 2)]));
    assert_eq!(end(&mut client, 3, by, false).0, NONE);
    assert_eq!(end(&mut client, 3, by, true).0, INVALID_TXN_STATE);
}

#[test]
fn a_transaction_of_version_2_adds_by_itself_and_raises_its_epoch() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "version-2", 1);
    let first = init(&mut client, "two");
    assert_eq!(write(&mut client, 12, &topic, first, 0), NONE);
    assert_eq!(write(&mut client, 13, &topic, first, 1), NONE);
    let (code, second) = end(&mut client, 5, first, true);
    assert_eq!((code, second.producer), (NONE, (first.producer.0, 1)));
    assert_eq!(end(&mut client, 5, first, true), (NONE, second));
    let stale = write(&mut client, 12, &topic, first, 2);
    assert_eq!(stale, INVALID_PRODUCER_EPOCH);
    assert_eq!(write(&mut client, 12, &topic, second, 0), NONE);
    let (_, third) = end(&mut client, 5, second, false);
    let (stable, _, aborted) = fetch(&mut client, &topic, true);
    assert_eq!((stable, aborted), (5, vec![(first.producer.0, 3)]));
    // What never began can be aborted.
    assert_eq!(end(&mut client, 5, third, false).0, NONE);
}

#[test]
fn a_batch_outside_of_its_transaction_is_refused_in_words_of_the_version() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "outside", 1);
    let by = init(&mut client, "out");
    assert_eq!(write(&mut client, 9, &topic, by, 0), INVALID_TXN_STATE);
    assert_eq!(write(&mut client, 11, &topic, by, 0), TRANSACTION_ABORTABLE);
    let unknown = Writer {
        id: "unknown",
        ..by
    };
    for version in [9, 12] {
        let refused = write(&mut client, version, &topic, unknown, 0);
        assert_eq!(refused, INVALID_PRODUCER_ID_MAPPING);
    }
    let records = batch_with(TRANSACTIONAL, b"v", (by.producer.0, 0, 0));
    let request = produce_request(&topic, 9, -1, &records);
    let body = client.ask(ApiKey::Produce, 9, &request);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(fetch(&mut client, &topic, false), (0, 0, vec![]));
    // A plain batch of a transactional producer is a plain batch.
    let plain = batch(b"v", (-1, -1, -1));
    let mut request = produce_request(&topic, 9, -1, &plain);
    request.transactional_id = Some("out");
    let body = client.ask(ApiKey::Produce, 9, &request);
    let response = read::<ProduceResponse<'_>>(&body, 9);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        NONE
    );
}

#[test]
fn a_new_producer_of_the_same_id_aborts_and_fences_the_old_one() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "fenced", 1);
    let old = init(&mut client, "same");
    assert_eq!(add(&mut client, 3, old, &[("fenced", &[0])]), [0]);
    assert_eq!(write(&mut client, 11, &topic, old, 0), NONE);
    let first_answer = init_as(&mut client, 5, &request("same"));
    assert_eq!(first_answer, (CONCURRENT_TRANSACTIONS, (-1, -1)));
    let new = init(&mut client, "same");
    assert_eq!(new.producer, (old.producer.0, 2));
    let refused = write(&mut client, 11, &topic, old, 1);
    assert_eq!(refused, INVALID_PRODUCER_EPOCH);
    assert_eq!(end(&mut client, 3, old, true).0, PRODUCER_FENCED);
    assert_eq!(end(&mut client, 1, old, true).0, INVALID_PRODUCER_EPOCH);
    let added = |client: &mut Client, version| add(client, version, old, &[("fenced", &[0])]);
    assert_eq!(added(&mut client, 3), [PRODUCER_FENCED]);
    assert_eq!(added(&mut client, 1), [INVALID_PRODUCER_EPOCH]);
    let (_, _, aborted) = fetch(&mut client, &topic, true);
    assert_eq!(aborted, [(old.producer.0, 0)]);
    let expected = |version| {
        let mut again = request("same");
        (again.producer_id, again.producer_epoch) = old.producer;
        (version, again)
    };
    for (version, code) in [(5, PRODUCER_FENCED), (3, INVALID_PRODUCER_EPOCH)] {
        let (version, again) = expected(version);
        assert_eq!(init_as(&mut client, version, &again).0, code);
    }
}

#[test]
fn an_initialisation_that_cannot_be_is_refused() {
    let node = Node::start(&["--set", "transaction.max.timeout.ms=1000"]);
    let mut client = node.connect();
    let mut code = |change: &dyn Fn(&mut InitProducerIdRequest<'static>)| {
        let mut request = request("bad");
        request.transaction_timeout_ms = 1_000;
        change(&mut request);
        init_as(&mut client, 6, &request).0
    };
    assert_eq!(code(&|_| {}), NONE);
    let timeout = code(&|it| it.transaction_timeout_ms = 1_001);
    assert_eq!(timeout, INVALID_TRANSACTION_TIMEOUT);
    let timeout = code(&|it| it.transaction_timeout_ms = 0);
    assert_eq!(timeout, INVALID_TRANSACTION_TIMEOUT);
    assert_eq!(code(&|it| it.transactional_id = Some("")), INVALID_REQUEST);
    assert_eq!(code(&|it| it.producer_id = 4), INVALID_REQUEST);
    let two_phases = code(&|it| it.enable_2pc = true);
    assert_eq!(two_phases, TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

#[test]
fn partitions_are_added_all_or_none_and_can_be_verified() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "known", 2);
    let by = init(&mut client, "adds");
    let topics: &[(&str, &[i32])] = &[("known", &[0, 7]), ("unknown", &[0])];
    let added = add(&mut client, 3, by, topics);
    assert_eq!(added, [OPERATION_NOT_ATTEMPTED, 3, 3]);
    assert_eq!(describe(&mut client, "adds").1, "Empty");
    let ask = |verify_only, index| AddPartitionsToTxnRequest {
        transactions: vec![AddPartitionsToTxnTransaction {
            transactional_id: by.id,
            producer_id: by.producer.0,
            producer_epoch: by.producer.1,
            verify_only,
            topics: vec![AddPartitionsToTxnTopic {
                name: "known",
                partitions: vec![index],
            }],
        }],
        ..Default::default()
    };
    let mut code = |verify_only, index| {
        let body = client.ask(ApiKey::AddPartitionsToTxn, 5, &ask(verify_only, index));
        let response = read::<AddPartitionsToTxnResponse<'_>>(&body, 5);
        let topic = &response.results_by_transaction[0].topic_results[0];
        topic.results_by_partition[0].partition_error_code
    };
    assert_eq!(code(true, 0), TRANSACTION_ABORTABLE);
    assert_eq!(code(false, 0), NONE);
    assert_eq!(code(true, 0), NONE);
    assert_eq!(code(true, 1), TRANSACTION_ABORTABLE);
}

#[test]
fn a_transaction_that_hangs_is_aborted_by_its_timeout() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "hangs", 1);
    let mut short = request("hanging");
    short.transaction_timeout_ms = 50;
    let (code, producer) = init_as(&mut client, 5, &short);
    assert_eq!(code, NONE);
    let by = Writer {
        id: "hanging",
        producer,
    };
    assert_eq!(write(&mut client, 12, &topic, by, 0), NONE);
    while describe(&mut client, "hanging").1 != "CompleteAbort" {
        std::thread::yield_now();
    }
    let (stable, _, aborted) = fetch(&mut client, &topic, true);
    assert_eq!((stable, aborted), (2, vec![(producer.0, 0)]));
    let late = write(&mut client, 12, &topic, by, 1);
    assert_eq!(late, INVALID_PRODUCER_EPOCH);
    assert_eq!(end(&mut client, 3, by, true).0, PRODUCER_FENCED);
}

/// Commits the offset of partition 0 in the transaction.
pub(crate) fn stage(
    client: &mut Client,
    version: i16,
    topic: &Topic,
    by: Writer,
    offset: i64,
) -> i16 {
    let request = TxnOffsetCommitRequest {
        transactional_id: by.id,
        group_id: "readers",
        producer_id: by.producer.0,
        producer_epoch: by.producer.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: topic.name,
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = client.ask(ApiKey::TxnOffsetCommit, version, &request);
    let response = read::<TxnOffsetCommitResponse<'_>>(&body, version);
    response.topics[0].partitions[0].error_code
}

/// The committed offset, if it is stable.
pub(crate) fn committed(client: &mut Client, topic: &Topic) -> (i16, i64) {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "readers",
            topics: Some(vec![OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    };
    let body = client.ask(ApiKey::OffsetFetch, 9, &request);
    let response = read::<OffsetFetchResponse<'_>>(&body, 9);
    let partition = &response.groups[0].topics[0].partitions[0];
    (partition.error_code, partition.committed_offset)
}

#[test]
fn offsets_count_when_their_transaction_commits() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "consumed", 1);
    let by = init(&mut client, "offsets");
    let refused = stage(&mut client, 3, &topic, by, 5);
    assert_eq!(refused, INVALID_TXN_STATE);
    let refused = stage(&mut client, 4, &topic, by, 5);
    assert_eq!(refused, TRANSACTION_ABORTABLE);
    let request = AddOffsetsToTxnRequest {
        transactional_id: by.id,
        producer_id: by.producer.0,
        producer_epoch: by.producer.1,
        group_id: "readers",
    };
    let body = client.ask(ApiKey::AddOffsetsToTxn, 3, &request);
    assert_eq!(read::<AddOffsetsToTxnResponse>(&body, 3).error_code, NONE);
    assert_eq!(stage(&mut client, 3, &topic, by, 5), NONE);
    assert_eq!(committed(&mut client, &topic), (88, -1));
    assert_eq!(end(&mut client, 3, by, true).0, NONE);
    assert_eq!(committed(&mut client, &topic), (NONE, 5));
    // Version 5 adds the group by itself.
    assert_eq!(stage(&mut client, 5, &topic, by, 9), NONE);
    let (code, by) = end(&mut client, 5, by, false);
    assert_eq!((code, committed(&mut client, &topic)), (NONE, (NONE, 5)));
    assert_eq!(stage(&mut client, 5, &topic, by, 9), NONE);
    assert_eq!(end(&mut client, 5, by, true).0, NONE);
    assert_eq!(committed(&mut client, &topic), (NONE, 9));
}

#[test]
fn transactions_can_be_described_and_listed() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    create(&mut client, "a", 3);
    create(&mut client, "b", 1);
    let by = init(&mut client, "app-1");
    init(&mut client, "app-2");
    init(&mut client, "other");
    add(&mut client, 3, by, &[("b", &[0]), ("a", &[2, 1])]);
    let (code, state, topics) = describe(&mut client, "app-1");
    assert_eq!((code, state.as_str()), (NONE, "Ongoing"));
    let expected = [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![0])];
    assert_eq!(topics, expected);
    let missing = describe(&mut client, "nobody").0;
    assert_eq!(missing, TRANSACTIONAL_ID_NOT_FOUND);
    assert_eq!(describe(&mut client, "").0, INVALID_REQUEST);
    let mut list = |request: &ListTransactionsRequest<'_>| {
        let body = client.ask(ApiKey::ListTransactions, 2, request);
        let response = read::<ListTransactionsResponse<'_>>(&body, 2);
        let ids = response.transaction_states.iter();
        let ids: Vec<String> = ids.map(|it| it.transactional_id.to_owned()).collect();
        (
            response.error_code,
            ids.join(" "),
            response.unknown_state_filters.len(),
        )
    };
    let all = || ListTransactionsRequest::default();
    assert_eq!(list(&all()), (NONE, "app-1 app-2 other".to_owned(), 0));
    let mut ongoing = all();
    ongoing.state_filters = vec!["Ongoing", "Dead", "Bogus"];
    assert_eq!(list(&ongoing), (NONE, "app-1".to_owned(), 1));
    ongoing.state_filters = vec!["Bogus"];
    assert_eq!(list(&ongoing), (NONE, String::new(), 1));
    let mut of = all();
    of.producer_id_filters = vec![by.producer.0];
    assert_eq!(list(&of), (NONE, "app-1".to_owned(), 0));
    let mut named = all();
    named.transactional_id_pattern = Some("app-.*");
    assert_eq!(list(&named), (NONE, "app-1 app-2".to_owned(), 0));
    named.transactional_id_pattern = Some("(");
    assert_eq!(list(&named), (128, String::new(), 0));
}

#[test]
fn offsets_for_readers_of_committed_records_end_at_the_last_stable_one() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    let topic = create(&mut client, "stable", 1);
    let by = init(&mut client, "holds");
    assert_eq!(write(&mut client, 12, &topic, by, 0), NONE);
    let mut latest = |isolation_level| {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsRequestTopic {
                name: topic.name,
                partitions: vec![ListOffsetsRequestPartition {
                    partition_index: 0,
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let body = client.ask(ApiKey::ListOffsets, 7, &request);
        let response = read::<ListOffsetsResponse<'_>>(&body, 7);
        response.topics[0].partitions[0].offset
    };
    assert_eq!((latest(0), latest(1)), (1, 0));
}
