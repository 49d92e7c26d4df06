//! Topics and events in a bare event loop, with publishers and notifiers in other processes.

use crossing_bus::{Event, Overflow, Poller, Subscriber, Topic, TryRecvError};
use crossing_sys::ErrorKind;
use crossing_sys::doorbell::wait_any;
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, role, unique_name, watchdog};
use std::time::{Duration, Instant};

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(120);

fn topic(name: &str) -> Topic<[u8]> {
    Topic::<[u8]>::options().depth(16).max_len(64).overflow(Overflow::Block).open(name).unwrap()
}

fn wait(pollers: &[&Poller]) {
    let handles: Vec<_> = pollers.iter().map(|poller| poller.handle()).collect();
    wait_any(&handles, Some(Instant::now() + LATE)).unwrap().expect("no handle became ready");
}

/// Receives what is there; each publisher's messages are numbered from 0.
fn drain(subscriber: &mut Subscriber<[u8]>, next: &mut Vec<(u64, u32)>) {
    loop {
        match subscriber.try_recv() {
            Ok(sample) => {
                let number = u32::from_le_bytes((*sample).try_into().unwrap());
                assert_eq!(sample.missed(), 0);
                let publisher = sample.publisher();
                match next.iter_mut().find(|(known, _)| *known == publisher) {
                    Some((_, next)) => {
                        assert_eq!(number, *next, "lost or doubled");
                        *next += 1;
                    }
                    None => {
                        assert_eq!(number, 0, "lost or doubled");
                        next.push((publisher, 1));
                    }
                }
            }
            Err(TryRecvError::Empty) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn count(next: &[(u64, u32)]) -> u32 {
    next.iter().map(|(_, next)| next).sum()
}

/// Publishes to two topics and notifies an event, with rests in between.
#[test]
#[ignore = "a child process of the tests here"]
fn role_publisher() {
    let Some(role) = role("role_publisher") else { return };
    let mut publishers =
        ["one", "other"].map(|argument| topic(&role.argument(argument)).publisher().unwrap());
    let mut notifier = Event::options().open(&role.argument("event")).unwrap().notifier().unwrap();
    for publisher in &mut publishers {
        while publisher.subscribers() == 0 {
            publisher.check().unwrap();
        }
    }
    let mut random = Random::new(4);
    for number in 0..role.argument("count").parse::<u32>().unwrap() {
        for publisher in &mut publishers {
            publisher.send(&number.to_le_bytes()).unwrap();
        }
        if number % 64 == 0 {
            notifier.notify(number / 64 % 1000).unwrap();
        }
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(300)));
        }
    }
    role.say("done");
    let _ = role.hear();
}

fn publisher(names: &[String; 3], count: u32) -> Child {
    let child = Child::role("role_publisher").argument("one", &names[0]).argument("other", &names[1]);
    child.argument("event", &names[2]).argument("count", count.to_string()).spawn()
}

#[test]
fn an_event_loop_over_two_topics_and_an_event_hears_of_everything() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 2000;
    let names = [(); 3].map(|()| unique_name("bus-poll"));
    let mut ends = [&names[0], &names[1]].map(|name| topic(name).subscriber().unwrap());
    let mut waiter = Event::options().open(&names[2]).unwrap().waiter().unwrap();
    let pollers = ends.each_ref().map(|end| end.poller().unwrap());
    let ids_poller = waiter.poller().unwrap();
    let children: Vec<_> = (0..2).map(|_| publisher(&names, COUNT)).collect();
    let (mut next, mut ids) = ([Vec::new(), Vec::new()], std::collections::BTreeSet::new());
    loop {
        for (at, end) in ends.iter_mut().enumerate() {
            end.arm(&pollers[at]).unwrap();
            drain(end, &mut next[at]);
        }
        waiter.arm(&ids_poller).unwrap();
        if let Some(more) = waiter.try_wait().unwrap() {
            ids.extend(more.iter());
        }
        if next.iter().all(|next| count(next) == 2 * COUNT) && ids.len() as u32 == COUNT.div_ceil(64) {
            break;
        }
        wait(&[&pollers[0], &pollers[1], &ids_poller]);
    }
    for mut child in children {
        child.expect("done");
        child.tell("end");
        child.wait(LATE).success();
    }
}

#[test]
fn killed_publishers_neither_stop_nor_double_anything() {
    let _guard = watchdog(LATE);
    let names = [(); 3].map(|()| unique_name("bus-poll"));
    let mut ends = [&names[0], &names[1]].map(|name| topic(name).subscriber().unwrap());
    let pollers = ends.each_ref().map(|end| end.poller().unwrap());
    let mut next = [Vec::new(), Vec::new()];
    let mut random = Random::new(6);
    for _ in 0..8 {
        let mut child = publisher(&names, u32::MAX);
        let enough = count(&next[0]) + 1 + random.below(300) as u32;
        loop {
            for (at, end) in ends.iter_mut().enumerate() {
                end.arm(&pollers[at]).unwrap();
                drain(end, &mut next[at]);
            }
            if count(&next[0]) >= enough {
                break;
            }
            wait(&pollers.each_ref());
        }
        child.kill();
    }
    // Who comes next removes what the dead notifiers left.
    drop(Event::options().open(&names[2]).unwrap().waiter().unwrap());
}

#[test]
fn a_poller_is_its_makers_and_there_are_four() {
    let name = unique_name("bus-poll");
    let topic = topic(&name);
    let (mut one, mut other) = (topic.subscriber().unwrap(), topic.subscriber().unwrap());
    let mut pollers: Vec<_> = (0..4).map(|_| one.poller().unwrap()).collect();
    assert_eq!(one.poller().unwrap_err().kind(), ErrorKind::LimitReached);
    assert_eq!(other.arm(&pollers[0]).unwrap_err().kind(), ErrorKind::ApiMisuse);
    for poller in &pollers {
        one.arm(poller).unwrap();
    }
    let publisher = topic.publisher().unwrap();
    publisher.send(b"x").unwrap();
    for poller in &pollers {
        wait(&[poller]);
    }
    pollers.pop();
    pollers.push(one.poller().unwrap());
    // One that outlives its maker harms nobody.
    drop(one);
    let late = &pollers[0];
    let _ = wait_any(&[late.handle()], Some(Instant::now()));
    assert_eq!(other.try_recv().unwrap()[..], b"x"[..]);
}
