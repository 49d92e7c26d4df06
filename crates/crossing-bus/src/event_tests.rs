use super::*;
use crossing_testkit::{Child, role, unique_name};

const LONG: Duration = Duration::from_secs(60);

fn event(name: &str) -> Event {
    Event::options().open(name).unwrap()
}

fn ids(set: Option<EventSet>) -> Vec<u32> {
    set.map(|set| set.iter().collect()).unwrap_or_default()
}

#[test]
fn every_waiter_sees_every_id_once() {
    let event = event(&unique_name("event"));
    let mut notifier = event.notifier().unwrap();
    notifier.notify(5).unwrap();
    let (mut one, mut two) = (event.waiter().unwrap(), event.waiter().unwrap());
    for id in [0, 63, 64, 1023, 64] {
        notifier.notify(id).unwrap();
    }
    assert_eq!(notifier.waiters(), 2);
    for waiter in [&mut one, &mut two] {
        let set = waiter.wait_timeout(LONG).unwrap();
        assert!(set.unwrap().contains(63) && !set.unwrap().contains(5) && set.unwrap().len() == 4);
        assert_eq!(ids(set), [0, 63, 64, 1023]);
        assert_eq!(waiter.try_wait().unwrap(), None);
        assert_eq!(waiter.wait_timeout(Duration::from_millis(5)).unwrap(), None);
    }
    drop(one);
    notifier.notify(7).unwrap();
    assert_eq!((notifier.waiters(), ids(two.try_wait().unwrap())), (1, vec![7]));
    assert_eq!(notifier.notify(1024).unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[test]
#[ignore = "a child process"]
fn role_notifier() {
    let Some(role) = role("event::tests::role_notifier") else { return };
    let mut notifier = event(&role.argument("name")).notifier().unwrap();
    while notifier.waiters() == 0 {
        notifier.await_news(None).unwrap();
    }
    for id in 0..1024 {
        notifier.notify(id).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    role.say("done");
    role.pause();
}

#[test]
#[ignore = "a child process"]
fn role_waiter() {
    let Some(role) = role("event::tests::role_waiter") else { return };
    let mut waiter = event(&role.argument("name")).waiter().unwrap();
    role.say("waits");
    loop {
        waiter.wait().unwrap();
    }
}

#[test]
fn sleeping_waiters_are_woken_across_processes_and_none_is_lost() {
    let name = unique_name("event");
    let mut waiter = event(&name).waiter().unwrap();
    let mut child = Child::role("event::tests::role_notifier").argument("name", &name).spawn();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 1024 {
        for id in ids(waiter.wait_timeout(LONG).unwrap()) {
            assert!(seen.insert(id), "{id} twice");
        }
    }
    child.expect("done");
}

#[test]
fn the_dead_are_forgotten_and_leave_nothing() {
    let name = unique_name("event");
    let mut notifier = event(&name).notifier().unwrap();
    let mut waiter = event(&name).waiter().unwrap();
    for round in 0..5 {
        let mut child = Child::role("event::tests::role_waiter").argument("name", &name).spawn();
        child.expect("waits");
        notifier.notify(round).unwrap();
        assert_eq!(notifier.waiters(), 2);
        child.kill();
        notifier.notify(round + 500).unwrap();
        assert_eq!(ids(waiter.wait_timeout(LONG).unwrap()), [round, round + 500]);
        notifier.check().unwrap();
        assert_eq!(notifier.waiters(), 1);
    }
    drop((notifier, waiter));
    assert_eq!(registry::list_under(&format!("event/{name}/")).unwrap(), []);
}
