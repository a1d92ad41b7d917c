//! Runs cases, several at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use conform_wire::{Conn, GROUP_KEY, WireError, api_name, find_coordinators};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::case::{Case, Profile};
use crate::cases;
use crate::cx::{Cx, Env, text};
use crate::report::{Report, Transcript};

/// What to run, against which server, and how patiently.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only cases whose group/name contains one of these (comma-separated).
    #[arg(long, value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Only cases of these numbers.
    #[arg(long, value_delimiter = ',')]
    pub case: Vec<u16>,
    /// Cases whose group/name contains one of these are left out.
    #[arg(long, value_delimiter = ',')]
    pub skip: Vec<String>,
    /// How many cases run at the same time.
    #[arg(long, default_value_t = 12)]
    pub jobs: usize,
    /// How often each case is run; the transcripts must be the same every time.
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    /// Session timeout of classic members.
    #[arg(long, default_value_t = 10_000)]
    pub session_ms: i32,
    /// Longest wait for one answer.
    #[arg(long, default_value_t = 8_000)]
    pub wait_ms: u64,
    /// How long without an answer counts as parked.
    #[arg(long, default_value_t = 300)]
    pub park_ms: u64,
    /// Longest time for a whole case.
    #[arg(long, default_value_t = 90)]
    pub case_s: u64,
    /// APIs (by number) to do without, as if the server did not offer them.
    #[arg(long, value_delimiter = ',')]
    pub without: Vec<i16>,
    /// Only the case of exactly this group/name.
    #[arg(skip)]
    pub only: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: Vec::new(),
            case: Vec::new(),
            skip: Vec::new(),
            jobs: 12,
            repeat: 1,
            session_ms: 10_000,
            wait_ms: 8_000,
            park_ms: 300,
            case_s: 90,
            without: Vec::new(),
            only: None,
        }
    }
}

impl Options {
    fn wants(&self, profile: Profile, case: &Case) -> bool {
        let key = case.key();
        let named = |list: &[String]| list.iter().any(|f| key.contains(f.as_str()));
        profile == case.profile
            && self.only.as_ref().is_none_or(|only| *only == key)
            && (self.filter.is_empty() || named(&self.filter))
            && !named(&self.skip)
            && (self.case.is_empty() || case.numbers.iter().any(|n| self.case.contains(n)))
    }

    /// Whether these options leave cases out.
    pub fn partial(&self) -> bool {
        !(self.filter.is_empty() && self.skip.is_empty() && self.case.is_empty())
    }
}

/// Runs the cases of `profile` that `options` want against the server at `bootstrap`.
pub async fn run(bootstrap: &str, profile: Profile, options: &Options) -> Result<Report> {
    let env = Arc::new(meet(bootstrap, options).await?);
    let offered = env
        .versions
        .offered()
        .map(|(k, r)| (api_name(k), r.to_string()))
        .collect();
    let jobs = Arc::new(Semaphore::new(options.jobs.max(1)));
    let limit = Duration::from_secs(options.case_s);
    let mut tasks = Vec::new();
    for case in cases::all()
        .into_iter()
        .filter(|c| options.wants(profile, c))
    {
        let (env, jobs, repeat) = (env.clone(), jobs.clone(), options.repeat);
        tasks.push(tokio::spawn(async move {
            let _permit = jobs.acquire().await.expect("the semaphore is never closed");
            run_repeatedly(&case, &env, limit, repeat).await
        }));
    }
    let mut cases = Vec::new();
    for task in tasks {
        cases.push(task.await.context("a case panicked")?);
    }
    Ok(Report {
        broker: String::new(),
        offered,
        cases,
    })
}

/// Connects, asks what the server offers, and waits until it is ready.
async fn meet(bootstrap: &str, options: &Options) -> Result<Env> {
    let wire = Arc::new(conform_wire::Options {
        client_id: text("cf-client"),
        call_timeout: Duration::from_millis(options.wait_ms),
        caps: options.without.iter().map(|key| (*key, -1)).collect(),
        ..conform_wire::Options::default()
    });
    let conn = Conn::connect(bootstrap, wire.clone()).await?;
    let env = Env {
        addr: bootstrap.to_owned(),
        options: wire,
        versions: conn.versions().clone(),
        wait: Duration::from_millis(options.wait_ms),
        session: options.session_ms,
        park: Duration::from_millis(options.park_ms),
    };
    warm_up(&Arc::new(env.clone()), &conn).await?;
    Ok(env)
}

/// Runs a case several times; notes it if the transcripts are not the same every time.
async fn run_repeatedly(case: &Case, env: &Arc<Env>, limit: Duration, times: usize) -> Transcript {
    let mut first = run_case(case, env, limit).await;
    for _ in 1..times {
        let again = run_case(case, env, limit).await;
        if first.status == again.status
            && let Some(what) = first.differences(&again).first()
        {
            let (step, tokens) = (&what.step, what.tokens());
            first.why = Some(format!("not the same every time: {step}: {tokens}"));
        }
        if again.status != "ok" && first.status == "ok" {
            first = again;
        }
    }
    first
}

/// A fresh broker has to create `__consumer_offsets` and load it first.
async fn warm_up(env: &Arc<Env>, conn: &Conn) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    let keys: Vec<_> = (0..20).map(|i| text(format!("cf-warm-up-{i}"))).collect();
    match find_coordinators(conn, &keys, GROUP_KEY, deadline).await {
        Ok(_) | Err(WireError::Unsupported { .. }) => {}
        Err(e) => return Err(e).context("warming up"),
    }
    // Heartbeats and joins of unknown members write nothing, but tell when all is loaded.
    while Instant::now() < deadline {
        let cx = Cx::new(env.clone());
        let mut away = false;
        for _ in 0..8 {
            let mut m = cx.member(&cx.group(), "W");
            m.id = "nobody".into();
            let seen = m
                .join_start()
                .await?
                .out()
                .await
                .show(|r| crate::cx::err(r.error_code));
            away |= matches!(
                seen.as_str(),
                "COORDINATOR_NOT_AVAILABLE" | "COORDINATOR_LOAD_IN_PROGRESS" | "NOT_COORDINATOR"
            );
        }
        if !away {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn run_case(case: &Case, env: &Arc<Env>, limit: Duration) -> Transcript {
    let cx = Cx::new(env.clone());
    let running = tokio::spawn((case.run)(cx.clone()));
    let abort = running.abort_handle();
    let (mut status, mut why) = (None, None);
    match timeout(limit, running).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(e))) => {
            let unsupported = matches!(e.downcast_ref(), Some(WireError::Unsupported { .. }));
            status = Some(if unsupported { "unsupported" } else { "error" });
            why = Some(format!("{e:#}"));
        }
        Ok(Err(e)) => {
            status = Some("error");
            why = Some(format!("the case panicked: {e}"));
        }
        Err(_) => {
            abort.abort();
            status = Some("stuck");
            why = Some(format!("not done within {} s", limit.as_secs()));
        }
    }
    let (steps, stuck) = cx.steps();
    let differs = steps.iter().any(|s| s.ok == Some(false));
    let status = status.unwrap_or(match (stuck, differs) {
        (true, _) => "stuck",
        (false, true) => "differs-from-spec",
        (false, false) => "ok",
    });
    Transcript {
        group: case.group.into(),
        name: case.name.into(),
        numbers: case.numbers.to_vec(),
        profile: case.profile.name().into(),
        status: status.into(),
        why,
        steps,
    }
}
