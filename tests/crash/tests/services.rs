//! `kill -9` of servers and clients of a `shm:` service in the middle of answers in parts, at every named point and at random.
//!
//! Whatever comes of an answer is its beginning, in order, each part whole and once; then its end, or that the server died.
//! Who waits for a dead server is told so at once, and goes on with another one. A server whose client died hears that it is
//! not wanted, whatever it waits for; and what the dead held, places of queues, words of tables, names, is free again.

#[path = "services/work.rs"]
mod work;

use crossing_crash_tests::{next, points};
use crossing_queue::service::{Client, Server};
use crossing_shm::registry;
use crossing_sys::Error;
use crossing_testkit::{Child, killed, role, unique_name, watchdog};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};
use work::{Came, IN_FLIGHT, ask, ask_once, options};

const LATE: Duration = Duration::from_secs(60);

/// Serves or asks as the parent says; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn service_role() {
    let Some(role) = role("service_role") else { return };
    work::run(&role);
}

/// The points of this name's beginning, and how many there must be at least.
fn of(side: &[&str]) -> Vec<String> {
    let all = points("crossing-queue", &[]);
    let found: Vec<String> = all
        .into_iter()
        .filter(|name| {
            name.strip_prefix("service.").is_some_and(|rest| side.iter().any(|it| rest.starts_with(it)))
        })
        .collect();
    assert!(found.len() > side.len(), "{found:?}");
    found
}

/// What a server does.
const SERVER: [&str; 7] = ["serve.", "accept.", "stream.", "part.written", "part.said", "end.", "reply."];
/// What a client does.
const CLIENT: [&str; 5] = ["connect.", "call.", "lane.", "part.taken", "replies."];

/// Every point is killed at by one of the tests here.
#[test]
fn no_point_is_forgotten() {
    let all: Vec<String> =
        points("crossing-queue", &[]).into_iter().filter(|name| name.starts_with("service.")).collect();
    let mut killed_at = [of(&SERVER), of(&CLIENT)].concat();
    killed_at.sort();
    assert_eq!(all, killed_at);
}

/// A service of its own name, and who is asked or asks.
struct Ground {
    name: String,
    started: AtomicU64,
}

impl Ground {
    fn new() -> Self {
        Self { name: unique_name("crash-service"), started: AtomicU64::new(1) }
    }

    fn server(&self) -> Server {
        options().serve(&self.name).expect("a server")
    }

    fn client(&self) -> Client {
        options().connect(&self.name).expect("a client")
    }

    fn start(&self, kind: &str, count: u64, crash: Option<(&str, u32)>) -> Child {
        let child = Child::role("service_role")
            .argument("service", &self.name)
            .argument("kind", kind)
            .argument("number", self.started.fetch_add(1, SeqCst).to_string())
            .argument("count", count.to_string());
        match crash {
            Some((point, passage)) => child.env("CROSSING_CRASH", format!("{point}:{passage}")),
            None => child,
        }
        .spawn()
    }

    /// Names of the service that are there: two of each server and client that lives, and the queues for parts.
    fn names(&self) -> Vec<String> {
        registry::names_under(&format!("service/{}/", self.name)).expect("names")
    }

    /// What the dead left is removed by who connects next.
    fn is_clean(&self, servers: usize) {
        let client = self.client();
        let names = self.names();
        assert_eq!(names.len(), 2 * servers + 2, "{names:?}");
        drop(client);
    }
}

/// Several threads that ask all the time, and note when they are told that a server died.
struct Asking<'s> {
    client: &'s Client,
    over: &'s AtomicBool,
    told: &'s Mutex<Vec<Instant>>,
    whole: &'s AtomicU32,
}

impl Asking<'_> {
    fn run(&self, number: u64) {
        let mut sequence = 0;
        while !self.over.load(SeqCst) {
            let id = (number << 32) | sequence;
            sequence += 1;
            match if sequence % 4 == 0 { ask_once(self.client, id) } else { ask(self.client, id) } {
                Came::All => drop(self.whole.fetch_add(1, SeqCst)),
                Came::Died => {
                    self.told.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                }
                // Before it looks for servers that came later.
                Came::Nobody => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

#[test]
fn every_point_of_a_server_that_streams() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let ground = Ground::new();
    // One that lives on, so that those who ask go on.
    let mut other = ground.start("serve", 0, None);
    other.expect("working");
    let (mut kills, mut waited) = (0, Vec::new());
    for point in of(&SERVER) {
        let mut reached = false;
        for passage in [1, 2, 5] {
            let mut victim = ground.start("serve", 0, Some((&point, passage)));
            // One that dies before it can be found is asked by nobody.
            let Some(line) = victim.line(LATE) else {
                reached |= killed(victim.wait(LATE).status);
                kills += 1;
                ground.is_clean(1);
                continue;
            };
            assert_eq!(line, "working");
            let client = ground.client();
            assert_eq!(client.servers(), 2);
            let (over, told, whole) = (AtomicBool::new(false), Mutex::default(), AtomicU32::new(0));
            let asking = Asking { client: &client, over: &over, told: &told, whole: &whole };
            let (died, ended) = thread::scope(|scope| {
                // As many as may, so that several wait for the one that dies.
                for number in 0..IN_FLIGHT as u64 {
                    let asking = &asking;
                    scope.spawn(move || asking.run(1 + number));
                }
                let ended = if point.starts_with("service.serve.") && passage > 1 {
                    // It is passed once: killed from here, which looks different on Windows.
                    victim.kill();
                    None
                } else {
                    Some(victim.wait(LATE).status)
                };
                let died = Instant::now();
                // All go on with the one that lives: nobody waits for the dead.
                let before = whole.load(SeqCst);
                while whole.load(SeqCst) < before + 3 * IN_FLIGHT as u32 {
                    thread::sleep(Duration::from_millis(1));
                }
                over.store(true, SeqCst);
                (died, ended)
            });
            assert!(ended.is_none_or(killed), "{point}:{passage}: {ended:?}");
            let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
            waited.extend(told.iter().map(|at| at.saturating_duration_since(died)));
            reached = true;
            kills += 1;
            assert_eq!(client.servers(), 1);
            drop(client);
            ground.is_clean(1);
        }
        assert!(reached, "no victim reached {point}");
    }
    waited.sort();
    assert!(waited.len() > kills / 2, "{} were told that a server died, of {kills} deaths", waited.len());
    let (median, slowest) = (waited[waited.len() / 2], waited[waited.len() - 1]);
    println!("killed {kills} servers; {} were told: median {median:?}, slowest {slowest:?}", waited.len());
    assert!(median < Duration::from_secs(2));
    other.kill();
    assert!(ground.names().len() <= 2);
    registry::remove_stale().expect("what the last server left");
}

/// Threads that serve; they can be held up.
struct Serving {
    held: Arc<RwLock<()>>,
    over: Arc<AtomicBool>,
    /// Answers that are being given.
    open: Arc<AtomicU32>,
    /// Why answers ended early.
    ended: Arc<Mutex<Vec<Error>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Serving {
    fn start(server: &Server) -> Self {
        let mut serving = Self {
            held: Arc::default(),
            over: Arc::default(),
            open: Arc::default(),
            ended: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..IN_FLIGHT {
            let (server, held, over) = (server.clone(), Arc::clone(&serving.held), Arc::clone(&serving.over));
            let (open, ended) = (Arc::clone(&serving.open), Arc::clone(&serving.ended));
            serving.threads.push(thread::spawn(move || {
                while !over.load(SeqCst) {
                    let _turn = held.read().unwrap_or_else(PoisonError::into_inner);
                    let Ok(request) = server.recv_timeout(Duration::from_millis(5)) else { continue };
                    open.fetch_add(1, SeqCst);
                    if let Err(error) = work::answer(request) {
                        ended.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    }
                    open.fetch_sub(1, SeqCst);
                }
            }));
        }
        serving
    }

    fn stop(self) {
        self.over.store(true, SeqCst);
        for thread in self.threads {
            thread.join().expect("a server thread");
        }
    }
}

#[test]
fn every_point_of_a_client_that_takes_a_stream() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let ground = Ground::new();
    let server = ground.server();
    let serving = Serving::start(&server);
    // One that lives on.
    let survivor = ground.client();
    let (mut kills, mut noticed) = (0, Vec::new());
    for point in of(&CLIENT) {
        for passage in [1, 2, 5] {
            // More than there are places, so that one that is lost is missed.
            for _ in 0..if passage == 1 { IN_FLIGHT + 1 } else { 1 } {
                // Some points are passed once.
                let ended = ground.start("call", 12, Some((&point, passage))).wait(LATE);
                let died = Instant::now();
                let by_itself = ended.status.success() && passage > 1;
                assert!(
                    killed(ended.status) || by_itself,
                    "{point}:{passage}: {}\n{}",
                    ended.text(),
                    ended.stderr
                );
                kills += usize::from(killed(ended.status));
                // The server hears that the dead one wants nothing more.
                while serving.open.load(SeqCst) > 0 {
                    thread::sleep(Duration::from_micros(200));
                }
                noticed.push(died.elapsed());
            }
        }
        // Every place of the server's queue can be had: by who asks while nobody answers.
        let held = serving.held.write().unwrap_or_else(PoisonError::into_inner);
        let calls: Vec<_> = (0..IN_FLIGHT as u64)
            .map(|id| {
                survivor
                    .begin(&id.to_le_bytes(), Instant::now() + LATE)
                    .unwrap_or_else(|error| panic!("{point}: {error}"))
            })
            .collect();
        drop(held);
        for call in calls {
            call.wait().unwrap_or_else(|error| panic!("{point}: {error}"));
        }
        assert_eq!(ask(&survivor, 1), Came::All, "{point}");
        ground_has(&ground, &serving, &point);
    }
    noticed.sort();
    println!(
        "killed {kills} clients; the server let go of the answer after: median {:?}, slowest {:?}",
        noticed[noticed.len() / 2],
        noticed[noticed.len() - 1]
    );
    assert!(noticed[noticed.len() / 2] < Duration::from_secs(2));
    let ended = serving.ended.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!ended.is_empty(), "no answer was cut short by a death");
    drop(ended);
    serving.stop();
    drop((survivor, server));
    assert!(ground.names().is_empty(), "{:?}", ground.names());
}

/// Of the dead nothing is left once their requests are done with, somebody came and asked, so that the server let go of them, and
/// another one connects: the server's two names, the survivor's two and its queues for parts.
fn ground_has(ground: &Ground, serving: &Serving, point: &str) {
    for _ in 0..2 {
        // Behind what the dead asked.
        assert_eq!(ask_once(&ground.client(), 1), Came::All, "{point}");
        drop(serving.held.write());
    }
    let client = ground.client();
    let left = ground.names();
    let of = |what: &str| left.iter().filter(|name| name.contains(&format!("/{what}-"))).count();
    assert_eq!([of("server"), of("asked"), of("client"), of("heard")], [1, 1, 2, 2], "{point}: {left:?}");
    assert!(of("parts") <= 2, "{point}: {left:?}");
    drop(client);
}

#[test]
fn random_kills_of_servers_and_clients_that_stream() {
    // Starting a process takes Wine forty times as long.
    const ROUNDS: u32 = if cfg!(windows) { 10 } else { 100 };
    let _watchdog = watchdog(Duration::from_secs(400));
    let ground = Ground::new();
    let server = ground.server();
    let serving = Serving::start(&server);
    let (mut seed, mut kills) = (7, 0);
    let survivor = ground.client();
    let (told, whole) = (Mutex::default(), AtomicU32::new(0));
    for _ in 0..ROUNDS {
        let mut victims: Vec<Child> = ["serve", "call", "serve", "call", "call"]
            .iter()
            .map(|kind| ground.start(kind, u64::MAX, None))
            .collect();
        for victim in &mut victims {
            victim.expect("working");
        }
        // One that lives on, and one that knows all servers at once.
        let (fresh, over) = (ground.client(), AtomicBool::new(false));
        thread::scope(|scope| {
            for (number, client) in [(1, &survivor), (2, &fresh), (3, &fresh)] {
                let asking = Asking { client, over: &over, told: &told, whole: &whole };
                scope.spawn(move || asking.run(number));
            }
            for victim in &mut victims {
                thread::sleep(Duration::from_micros(next(&mut seed) % 3_000));
                victim.kill();
                kills += 1;
            }
            // The others go on, with the server here.
            let before = whole.load(SeqCst);
            while whole.load(SeqCst) < before + 4 {
                thread::sleep(Duration::from_millis(1));
            }
            over.store(true, SeqCst);
        });
    }
    println!(
        "killed {kills}; {} whole answers, {} times told that the server died",
        whole.load(SeqCst),
        told.lock().unwrap_or_else(PoisonError::into_inner).len()
    );
    ground_has(&ground, &serving, "random kills");
    let last = ground.start("call", 50, None);
    assert!(last.wait(LATE).success().text().contains("enough"));
    while serving.open.load(SeqCst) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    serving.stop();
    drop((survivor, server));
    ground.is_empty();
}

impl Ground {
    /// All left by themselves, and of the dead nothing is in the way of a new server.
    fn is_empty(&self) {
        let server = self.server();
        self.is_clean(1);
        drop(server);
        assert!(self.names().is_empty(), "{:?}", self.names());
    }
}
