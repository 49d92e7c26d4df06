//! iceoryx2, by its slices: loans written in place, samples read in place, nothing overwritten.
#![allow(unsafe_code)] // bytes of loans

use crate::{Task, fill, nanos, one_way, read};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::*;
use iceoryx2::sample::Sample;

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
        "answer" => {
            let service = services(&node, &there);
            let server = service.server_builder().initial_max_slice_len(task.len).create().expect("a server");
            println!("ready");
            for _ in 0..task.count {
                let request = loop {
                    if let Some(request) = server.receive().expect("received") {
                        break request;
                    }
                };
                let number = read(request.payload());
                let reply = request.loan_slice_uninit(task.len).expect("a loan");
                // SAFETY: every byte pattern is a byte; all are written next.
                let mut reply = unsafe { reply.assume_init() };
                fill(reply.payload_mut(), number);
                reply.send().expect("sent");
            }
            // Its memory goes with it, the last answer included.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        "call" => {
            let service = services(&node, &there);
            let client = service.client_builder().initial_max_slice_len(task.len).create().expect("a client");
            while service.dynamic_config().number_of_servers() == 0 {
                std::hint::spin_loop();
            }
            // Until the server has connected, too.
            std::thread::sleep(std::time::Duration::from_millis(300));
            let mut times = Vec::with_capacity(task.count as usize);
            for number in 0..task.count {
                let begun = nanos();
                let request = client.loan_slice_uninit(task.len).expect("a loan");
                // SAFETY: as above.
                let mut request = unsafe { request.assume_init() };
                fill(request.payload_mut(), number);
                let pending = request.send().expect("sent");
                let reply = loop {
                    if let Some(reply) = pending.receive().expect("received") {
                        break reply;
                    }
                };
                let back = read(reply.payload());
                times.push(nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
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
