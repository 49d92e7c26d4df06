//! iceoryx2, by its slices: loans written in place, samples read in place, nothing overwritten.
#![allow(unsafe_code)] // bytes of loans

use crate::{Task, fill, nanos, one_way, read};
use iceoryx2::pending_response::PendingResponse;
use iceoryx2::port::client::Client;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::*;
use iceoryx2::response::Response;
use iceoryx2::sample::Sample;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Requests in flight at most.
const SEVERAL: usize = 16;

type Pub = Publisher<ipc::Service, [u8], ()>;
type Sub = Subscriber<ipc::Service, [u8], ()>;

fn open(
    node: &Node<ipc::Service>,
    name: &str,
    depth: usize,
) -> iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u8], ()> {
    node.service_builder(&name.try_into().expect("a name"))
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(depth)
        .open_or_create()
        .expect("the service")
}

fn services(
    node: &Node<ipc::Service>,
    name: &str,
) -> iceoryx2::service::port_factory::request_response::PortFactory<ipc::Service, [u8], (), [u8], ()> {
    node.service_builder(&name.try_into().expect("a name"))
        .request_response::<[u8], [u8]>()
        .max_active_requests_per_client(SEVERAL)
        .open_or_create()
        .expect("the service")
}

fn publisher(node: &Node<ipc::Service>, name: &str, depth: usize, len: usize) -> Pub {
    let service = open(node, name, depth);
    let publisher = service
        .publisher_builder()
        .initial_max_slice_len(len)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .expect("a publisher");
    while service.dynamic_config().number_of_subscribers() == 0 {
        std::hint::spin_loop();
    }
    publisher.update_connections().expect("connected");
    publisher
}

fn subscriber(node: &Node<ipc::Service>, name: &str, depth: usize) -> Sub {
    open(node, name, depth).subscriber_builder().create().expect("a subscriber")
}

fn send(publisher: &Pub, len: usize, number: u64) {
    let sample = publisher.loan_slice_uninit(len).expect("a loan");
    // SAFETY: every byte pattern is a byte; all are written next.
    let mut sample = unsafe { sample.assume_init() };
    fill(sample.payload_mut(), number);
    sample.send().expect("sent");
}

fn receive(subscriber: &Sub) -> Sample<ipc::Service, [u8], ()> {
    loop {
        if let Some(sample) = subscriber.receive().expect("received") {
            return sample;
        }
    }
}

fn listener(node: &Node<ipc::Service>, name: &str) -> Listener<ipc::Service> {
    let service =
        node.service_builder(&name.try_into().expect("a name")).event().open_or_create().expect("an event");
    service.listener_builder().create().expect("a listener")
}

type Asking = Client<ipc::Service, [u8], (), [u8], ()>;
type Pending = PendingResponse<ipc::Service, [u8], (), [u8], ()>;

/// With its server.
fn client(node: &Node<ipc::Service>, name: &str, len: usize) -> Asking {
    let service = services(node, name);
    let client = service.client_builder().initial_max_slice_len(len).create().expect("a client");
    while service.dynamic_config().number_of_servers() == 0 {
        std::hint::spin_loop();
    }
    // Until the server has connected, too.
    std::thread::sleep(std::time::Duration::from_millis(300));
    client
}

fn ask(client: &Asking, len: usize, number: u64) -> Pending {
    let request = client.loan_slice_uninit(len).expect("a loan");
    // SAFETY: every byte pattern is a byte; all are written next.
    let mut request = unsafe { request.assume_init() };
    fill(request.payload_mut(), number);
    request.send().expect("sent")
}

fn await_reply(pending: &Pending) -> Response<ipc::Service, [u8], ()> {
    loop {
        if let Some(reply) = pending.receive().expect("received") {
            return reply;
        }
    }
}

/// Answers so many requests, or until it is over.
fn answer(node: &Node<ipc::Service>, name: &str, len: usize, over: impl Fn() -> bool, count: u64) {
    let service = services(node, name);
    let server = service.server_builder().initial_max_slice_len(len).create().expect("a server");
    println!("ready");
    for _ in 0..count {
        let request = loop {
            if let Some(request) = server.receive().expect("received") {
                break request;
            }
            if over() {
                return;
            }
        };
        let number = read(request.payload());
        let reply = request.loan_slice_uninit(len).expect("a loan");
        // SAFETY: every byte pattern is a byte; all are written next.
        let mut reply = unsafe { reply.assume_init() };
        fill(reply.payload_mut(), number);
        reply.send().expect("sent");
    }
    // Its memory goes with it, the last answer included.
    std::thread::sleep(std::time::Duration::from_millis(200));
}

pub fn work(task: &Task) {
    iceoryx2::prelude::set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
    let (there, back) = (format!("{}/there", task.name), format!("{}/back", task.name));
    let depth = if task.len > 4096 { 16 } else { 64 };
    match task.role.as_str() {
        "echo" => {
            let subscriber = subscriber(&node, &there, depth);
            println!("ready");
            let publisher = publisher(&node, &back, depth, task.len);
            for _ in 0..task.count {
                let number = read(receive(&subscriber).payload());
                send(&publisher, task.len, number);
            }
        }
        "ping" => {
            let subscriber = subscriber(&node, &back, depth);
            let publisher = publisher(&node, &there, depth, task.len);
            let mut times = Vec::with_capacity(task.count as usize);
            for number in 0..task.count {
                let begun = nanos();
                send(&publisher, task.len, number);
                let back = read(receive(&subscriber).payload());
                times.push(nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
        }
        "sub" => {
            let subscriber = subscriber(&node, &there, depth);
            println!("ready");
            for number in 0..task.count {
                assert_eq!(read(receive(&subscriber).payload()), number);
            }
            println!("{}", nanos());
        }
        "pub" => {
            let publisher = publisher(&node, &there, depth, task.len);
            // Until the subscriber has connected, too, a full buffer drops what is sent.
            std::thread::sleep(std::time::Duration::from_millis(300));
            let begun = nanos();
            for number in 0..task.count {
                send(&publisher, task.len, number);
            }
            println!("{begun}");
            // What was sent is gone with its publisher.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        "answer" => answer(&node, &there, task.len, || false, task.count),
        "serve" => {
            let over = Arc::new(AtomicBool::new(false));
            let setting = Arc::clone(&over);
            std::thread::spawn(move || {
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                setting.store(true, Ordering::Relaxed);
            });
            answer(&node, &there, task.len, || over.load(Ordering::Relaxed), u64::MAX);
        }
        "call" => {
            let client = client(&node, &there, task.len);
            let mut times = Vec::with_capacity(task.count as usize);
            for number in 0..task.count {
                let begun = nanos();
                let reply = await_reply(&ask(&client, task.len, number));
                let back = read(reply.payload());
                times.push(nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
        }
        role if role.starts_with("ask-") => {
            let client = client(&node, &there, task.len);
            let in_flight = crate::rpc::in_flight(role);
            let run = |count: u64| {
                let mut calls = VecDeque::new();
                let wait = |(number, call): (u64, Pending)| {
                    let reply = await_reply(&call);
                    assert_eq!((read(reply.payload()), reply.payload().len()), (number, task.len));
                };
                for number in 0..count {
                    if calls.len() == in_flight {
                        calls.pop_front().map(wait);
                    }
                    calls.push_back((number, ask(&client, task.len, number)));
                }
                calls.into_iter().for_each(wait);
            };
            run(crate::rpc::WARM);
            let begun = nanos();
            run(task.count);
            println!("{}", (nanos() - begun) as f64 / task.count as f64);
        }
        role => {
            let ping = role == "sleep-ping";
            let (mine, theirs) = if ping { (&back, &there) } else { (&there, &back) };
            let listener = listener(&node, mine);
            if !ping {
                println!("ready");
            }
            let service = node
                .service_builder(&theirs.as_str().try_into().expect("a name"))
                .event()
                .open_or_create()
                .expect("an event");
            let notifier = service.notifier_builder().create().expect("a notifier");
            while service.dynamic_config().number_of_listeners() == 0 {
                std::hint::spin_loop();
            }
            let mut times = Vec::with_capacity(task.count as usize);
            for _ in 0..task.count {
                let begun = nanos();
                if ping {
                    notifier.notify().expect("notified");
                }
                let mut got = false;
                while !got {
                    listener.blocking_wait(|_| got = true).expect("waited");
                }
                if !ping {
                    notifier.notify().expect("notified");
                }
                times.push(nanos() - begun);
            }
            if ping {
                println!("{}", one_way(&mut times));
            }
        }
    }
}
