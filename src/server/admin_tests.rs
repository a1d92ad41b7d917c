//! What `/readyz` says while shards load, when one cannot, and when the journal takes no more.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use hyper::{Method, StatusCode};

use super::admin::Admin;
use crate::config::Config;
use crate::engine::{Driving, Engine};
use crate::ids::ShardId;
use crate::journal::{Batch, Done, Durability, Journal, LoadError, Loaded};
use crate::topics::{Topics, TopicsConfig};

/// A journal of two records a shard; that of one shard may be damaged.
#[derive(Clone, Debug, Default)]
struct Two {
    damaged: Option<ShardId>,
    is_ill: Arc<AtomicBool>,
}

impl Journal for Two {
    fn append(&self, _batch: Batch<'_>, done: Done) {
        done.settle(Ok(()));
    }

    fn load(
        &self,
        shard: ShardId,
        each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
    ) -> Result<(), LoadError> {
        if self.damaged == Some(shard) {
            return Err(LoadError::Corrupt("as the test wants it".to_owned()));
        }
        for group in ["a", "b"] {
            let group = group.into();
            let record = crate::group::Record::Group { group, value: None };
            assert!(each(Loaded::Record(record)).is_continue());
        }
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::LocalFsync
    }

    fn is_healthy(&self) -> bool {
        !self.is_ill.load(Ordering::Relaxed)
    }
}

fn engine(journal: Two) -> Engine {
    let config = Config::builder().takhin_shards(2).build().unwrap();
    let builder = Engine::builder(config).journal(journal);
    builder.driving(Driving::Host).load_later().open().unwrap()
}

fn admin(engine: Engine) -> Admin {
    Admin::new(engine, Arc::new(Topics::new(TopicsConfig::default())))
}

async fn readyz(admin: &Admin) -> (StatusCode, String) {
    let response = admin.answer(&Method::GET, "/readyz");
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_server_is_ready_when_its_last_shard_is_loaded() {
    let engine = engine(Two::default());
    let admin = admin(engine.clone());
    let unready = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(readyz(&admin).await, (unready, "not ready\n".to_owned()));
    admin.set_ready(true);
    let lines = "shard 0: loading, 0 records loaded\nshard 1: loading, 0 records loaded\n";
    assert_eq!(readyz(&admin).await, (unready, lines.to_owned()));
    engine.load_next().unwrap();
    let lines = "shard 0: ready, 2 records loaded\nshard 1: loading, 0 records loaded\n";
    assert_eq!(readyz(&admin).await, (unready, lines.to_owned()));
    engine.load_next().unwrap();
    assert_eq!(readyz(&admin).await, (StatusCode::OK, "ok\n".to_owned()));
    let metrics = engine.metrics().to_string();
    assert!(metrics.contains("\ntakhin_shard_load_records{shard=\"1\"} 2\n"));
}

#[tokio::test]
async fn a_server_with_a_shard_that_cannot_be_loaded_is_not_ready() {
    let damaged = Some(ShardId(1));
    let engine = engine(Two {
        damaged,
        ..Two::default()
    });
    let admin = admin(engine.clone());
    admin.set_ready(true);
    engine.load_next().unwrap();
    engine.load_next().unwrap_err();
    let lines = "shard 0: ready, 2 records loaded\nshard 1: failed, 0 records loaded\n";
    let expected = (StatusCode::SERVICE_UNAVAILABLE, lines.to_owned());
    assert_eq!(readyz(&admin).await, expected);
}

#[tokio::test]
async fn a_server_whose_journal_takes_no_more_is_not_ready() {
    let journal = Two::default();
    let engine = engine(journal.clone());
    engine.run_due();
    let admin = admin(engine);
    admin.set_ready(true);
    assert_eq!(readyz(&admin).await.0, StatusCode::OK);
    journal.is_ill.store(true, Ordering::Relaxed);
    let (status, text) = readyz(&admin).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let first = text.lines().next();
    assert_eq!(first, Some("journal: takes no records any more, restart"));
}
