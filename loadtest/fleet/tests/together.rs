//! Two workers and their controller play against the server that does next to nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use figures::Second;
use fleet::{Clock, Controller, Error, Unable, Worker};
use play::{Endpoint, Options, Part};
use rig::null;
use scenario::Scenario;
use tokio::task::JoinHandle;

const PEOPLE: u64 = 40;
const WORKERS: usize = 2;
const AN_HOUR: Duration = Duration::from_hours(1);
/// Nothing that is waited for takes longer, even where tests wait for processors.
const PATIENCE: Duration = Duration::from_mins(1);

/// A fleet that waits for its workers.
struct Stand {
    controller: Controller,
    address: SocketAddr,
    workers: usize,
    patience: Duration,
    options: Options,
}

impl Stand {
    async fn new() -> Self {
        let controller = Controller::listen((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
        Self {
            address: controller.address().expect("an address"),
            controller,
            workers: WORKERS,
            patience: PATIENCE,
            options: options(null_server()),
        }
    }

    fn worker(&self, clock: Clock) -> JoinHandle<Result<(), Unable>> {
        let worker = Worker {
            controller: self.address.to_string(),
            patience: PATIENCE,
            sources: Vec::new(),
            clock,
            stop: Arc::default(),
        };
        tokio::spawn(worker.work())
    }

    async fn play(self, observer: impl FnMut(&Second)) -> Result<play::Played, Error> {
        let mut came = Vec::new();
        let progress = |count| came.push(count);
        let fleet = self.controller.muster(self.workers, self.patience, &self.options.stop, progress).await?;
        assert!(came.is_sorted() && came.contains(&self.workers), "{came:?}");
        fleet.play(&scenario(), &self.options, None, observer).await
    }
}

fn null_server() -> SocketAddr {
    let options = null::Options {
        plain: Some((Ipv4Addr::LOCALHOST, 0).into()),
        direct: None,
        domain: "example.org".to_owned(),
    };
    let server = null::Server::bind(&options).expect("a server");
    let address = server.addresses().expect("addresses").0.expect("one for TCP");
    tokio::spawn(server.serve());
    address
}

fn options(address: SocketAddr) -> Options {
    Options {
        endpoints: vec![Endpoint { address, path: None }],
        target: "null".to_owned(),
        domain: "example.org".to_owned(),
        tls: client::Tls::insecure().expect("no TLS is used"),
        sources: Vec::new(),
        watch: BTreeMap::new(),
        metrics: None,
        hooks: BTreeMap::new(),
        seed: 1,
        worker: Part::WHOLE,
        others: None,
        run: 7,
        start: None,
        stop: Arc::default(),
    }
}

/// People of whom each writes to the next: every other message goes to the other worker's people. All of them meet before.
fn scenario() -> Scenario {
    let text = format!(
        "name = 'test'\nabout = 'a test'\n[accounts]\ncount = {PEOPLE}\n[ledger]\nsettle = '2s'\n\
         [[phase]]\nname = 'arriving'\nfor = '2s'\narrive = {{ burst = {PEOPLE} }}\n\
         [[phase]]\nname = 'steady'\nfor = '3s'\n\
         [[population]]\nname = 'people'\npartner = 'ring'\n\
         script = [{{ barrier = {{ name = 'all' }} }}, {{ until = 'steady' }},\n\
         {{ repeat = {{ pace = {{ rate = 200 }}, steps = [{{ chat = {{}} }}] }} }}]\n"
    );
    Scenario::parse(&text, "test.toml", &BTreeMap::new()).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_clocks_of_their_own_play_one_run() {
    let stand = Stand::new().await;
    let workers = [stand.worker(Clock::new()), stand.worker(Clock::ahead_by(AN_HOUR))];
    let mut seen = Vec::new();
    let played = stand.play(|second| seen.push(second.clone())).await.unwrap();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }

    assert!(!played.aborted);
    let record = played.settle(&scenario().ledger);
    let ledger = &record.ledger;
    assert!(ledger.is_clean(), "{ledger:?}");
    assert!((400..800).contains(&ledger.sent), "{} of about 600: all have met and written", ledger.sent);
    assert_eq!((ledger.delivered, ledger.unknown), (ledger.sent, 0));

    assert_eq!(record.counts["sent"], ledger.sent);
    assert_eq!(record.spread("login", None).count, PEOPLE);
    assert!(record.spread("login", None).min_us > 100, "nobody has come before the start");
    assert_eq!(record.spread("chat", Some("steady")).count, ledger.sent);
    let by_seconds: u64 = record.seconds.iter().filter_map(|second| second.counts.get("sent")).sum();
    assert_eq!(by_seconds, ledger.sent);
    assert_eq!(record.seconds[3].sessions, PEOPLE);
    assert!(record.seconds[3].generators.keys().eq(["w0", "w1"]), "{:?}", record.seconds[3].generators);
    // Half of all messages cross: were a clock off by its hour, or by a second, it would be seen here.
    let longest = Duration::from_micros(record.spread("chat", None).p50_us);
    assert!(longest < Duration::from_millis(700), "{longest:?}");
    assert!(record.phases.len() == 2 && record.started_unix_ms > 0);

    let sent_seen: u64 = seen.iter().filter_map(|second| second.counts.get("sent")).sum();
    assert!(sent_seen > 0 && sent_seen <= ledger.sent, "{sent_seen}");
    assert!(seen.iter().any(|second| second.sessions == PEOPLE), "both are in what is seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_ends_the_run_and_is_named() {
    let stand = Stand::new().await;
    let (mortal, survivor) = (stand.worker(Clock::new()), stand.worker(Clock::new()));
    let death = mortal.abort_handle();
    let error = stand.play(|_| death.abort()).await.unwrap_err();

    let Error::Gone { worker, .. } = &error else { panic!("{error}") };
    assert!(
        worker.starts_with('w') && worker.contains(&format!("process {}", std::process::id())),
        "{worker}"
    );
    let told = survivor.await.unwrap().unwrap_err().to_string();
    assert!(told.contains(worker.as_str()), "the other one is told: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_stops_is_handed_in_as_far_as_it_went() {
    let stand = Stand::new().await;
    let workers = [stand.worker(Clock::new()), stand.worker(Clock::new())];
    let stop = Arc::clone(&stand.options.stop);
    let played = stand.play(|_| stop.store(true, Ordering::Release)).await.unwrap();
    assert!(played.aborted);
    assert!(played.record.seconds.len() < 5, "{}", played.record.seconds.len());
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn workers_that_do_not_come_are_not_waited_for() {
    let mut stand = Stand::new().await;
    stand.patience = Duration::from_millis(100);
    let error = stand.play(|_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Missing { wanted: WORKERS, came: 0, .. }), "{error}");
}

#[tokio::test]
async fn a_worker_too_many_is_sent_away() {
    let mut stand = Stand::new().await;
    stand.workers = 1;
    let workers = [stand.worker(Clock::new()), stand.worker(Clock::new())];
    let stop = Arc::clone(&stand.options.stop);
    stand.play(|_| stop.store(true, Ordering::Release)).await.unwrap();
    let mut sent_away = 0;
    for worker in workers {
        match worker.await.unwrap() {
            Ok(()) => {}
            Err(Unable::Dismissed(why)) => sent_away += usize::from(why.contains("already")),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sent_away, 1);
}

#[tokio::test]
async fn a_share_that_cannot_be_played_is_said_by_whom_it_has() {
    let mut stand = Stand::new().await;
    stand.options.endpoints.clear();
    let workers = [stand.worker(Clock::new()), stand.worker(Clock::new())];
    let error = stand.play(|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { why, .. } if why.contains("address")), "{error}");
    for worker in workers {
        assert!(worker.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_worker_without_a_controller_gives_up() {
    let nobody = Controller::listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap().address().unwrap();
    let worker = Worker {
        controller: nobody.to_string(),
        patience: Duration::from_millis(300),
        sources: Vec::new(),
        clock: Clock::new(),
        stop: Arc::default(),
    };
    let error = worker.work().await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
