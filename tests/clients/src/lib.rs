//! Real Kafka clients, unmodified, run end to end against the server.
//!
//! The scenarios are written once, here, and know no client. Each client has one small driver
//! (`python/`, `js/`, `java/`, `go/`) that does what it is told with that client's own consumer,
//! producer and admin API, and says in plain lines what happened:
//!
//! ```text
//!   scenario (Rust)  --- one line a command --->  driver process  --- Kafka protocol --->  server
//!                    <-- one line an event ----   (one a member, and one tool)
//! ```
//!
//! So every client is held to the same checks on the same data, `kill -9` ends exactly one
//! member, and a driver whose scenario has gone sees the end of its input and ends too.
//!
//! A driver takes `member` or `tool` and `name=value` arguments. PARTS is `0,2` and OFFSETS is
//! `0:17,2:4`, each `-` when empty. Words hold no blanks, but for the text of an error.
//!
//! ```text
//! member bootstrap=HOST:PORT group=ID topic=NAME session=MS [instance=ID]
//!   reads  commit                    write the position of every record delivered so far
//!          quit                      close, as the client does it, without a commit
//!   says   assigned GENERATION PARTS all that it owns now; `-` where a client hides generations
//!          revoked PARTS             what it owned and gave up
//!          record PARTITION OFFSET KEY VALUE
//!          committed OFFSETS
//!          closed
//!          error TEXT                it cannot go on
//!
//! transformer bootstrap=HOST:PORT group=ID topic=NAME to=NAME id=TRANSACTIONAL-ID session=MS
//!   copies records in transactions, with the offsets that it consumed; aborts every third one and
//!   reads its records again; some clients only
//!   reads  quit
//!   says   transaction committed COUNT
//!          transaction aborted 0
//!          closed
//!          error TEXT
//!
//! tool bootstrap=HOST:PORT           one command, its lines, then `ok` or `error TEXT`
//!   create TOPIC COUNT
//!   produce TOPIC PREFIX COUNT       values PREFIX-0, PREFIX-1 ..; keys k0 .. k49 in turn
//!   read TOPIC                       value VALUE, all committed ones; some clients only
//!   list                             group ID STATE, `-` where a client shows no state
//!   describe GROUP                   state STATE; member ID INSTANCE PARTS
//!   offsets GROUP TOPIC              offset PARTITION OFFSET, committed ones
//!   alter GROUP TOPIC OFFSETS
//!   delete-offsets GROUP TOPIC PARTS
//!   delete GROUP
//! ```
//!
//! `install.sh` brings the clients at their locked versions. `TAKHIN_BIN` names a server binary,
//! else cargo builds one; `TAKHIN_BOOTSTRAP` points at a server that runs already (Apache Kafka,
//! say, with `group.min.session.timeout.ms` at most 4000).

mod catalog;
mod clock;
mod failure;
mod install;
mod parse;
mod process;
pub mod scenario;
mod server;
mod stage;
mod suite;

pub use catalog::{Client, EXCEPTIONS, Exception, Verb};
pub use failure::Failure;
pub use server::Server;
pub use stage::{MemberName, Stage, run};
pub use suite::{franz_group_etl, franz_txn_etl};
