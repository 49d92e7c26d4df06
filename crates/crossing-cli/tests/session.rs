//! A session from the command line across a proxy that is killed over and over.

mod common;

use common::{crossing, local_socket, ok};
use crossing_testkit::{Child, PATIENCE, RuntimeDirGuard, unique_port, watchdog};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// How often the proxy is killed while messages flow.
const KILLS: u64 = 12;
/// At least so many messages are sent, however fast the kills were.
const LEAST: u64 = 5_000;
/// About the time between two kills; nothing depends on it.
const BETWEEN: Duration = Duration::from_millis(100);

/// What comes after all messages.
const LAST: &str = "the end";

/// The text of a message; the numbers differ in length, so do the messages.
fn text(number: u64) -> String {
    format!("{number} {}", "x".repeat((number % 97) as usize))
}

fn proxy(dir: &RuntimeDirGuard, front: &str, back: &str) -> Child {
    crossing(dir, &["proxy", front, back]).spawn()
}

#[test]
fn a_proxy_that_is_killed_over_and_over_costs_no_message() {
    let _watchdog = watchdog(PATIENCE * 10);
    let dir = RuntimeDirGuard::new();
    let (front, back) = (format!("tcp:127.0.0.1:{}", unique_port()), local_socket().0);
    let mut receiver = crossing(&dir, &["recv", &back, "--listen", "--session", "-f", "-t", "280s"]).spawn();
    // It waits for the receiver, which a proxy does not.
    ok(&dir, &["send", &back, "begin", "--session", "-t", "20s"]);
    receiver.expect("begin");
    let mut sender = crossing(&dir, &["send", &front, "--session", "--batch", "-t", "280s"]).spawn();
    let mut between = proxy(&dir, &front, &back);

    let (received, killed) = (AtomicU64::new(0), AtomicBool::new(false));
    let sent = thread::scope(|scope| {
        let received = &received;
        // Tells the sender a message at a time until the killing is over.
        let killed = &killed;
        let feeding = scope.spawn(move || {
            let mut number = 0;
            while number < LEAST || !killed.load(SeqCst) {
                sender.tell(&text(number));
                number += 1;
                if number % 16 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            (number, sender.wait(PATIENCE * 4))
        });
        // Checks each message as it comes; another session says that it was the last.
        let receiver = &mut receiver;
        let taking = scope.spawn(move || {
            for number in 0.. {
                let line = receiver.expect_line(PATIENCE * 4);
                if line == LAST {
                    return number;
                }
                assert_eq!(line, text(number), "message {number}");
                received.store(number + 1, SeqCst);
            }
            unreachable!()
        });
        for kill in 0..KILLS {
            // Every third proxy is killed whatever it is just doing, the others when something came through.
            let before = received.load(SeqCst);
            while (kill == 0 || kill % 3 != 0) && received.load(SeqCst) == before && !taking.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(BETWEEN);
            let running = between.is_running() && !feeding.is_finished() && !taking.is_finished();
            killed.store(!running, SeqCst);
            assert!(running, "the proxy, the sender or the receiver ended by itself before kill {kill}");
            between.kill();
            between = proxy(&dir, &front, &back);
        }
        killed.store(true, SeqCst);
        let (sent, sender) = feeding.join().expect("feeding");
        sender.success();
        ok(&dir, &["send", &back, LAST, "--session", "-t", "20s"]);
        assert_eq!(taking.join().expect("taking"), sent);
        sent
    });
    assert!(sent >= LEAST);
    assert!(receiver.is_running() && between.is_running());
}
