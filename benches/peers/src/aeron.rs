//! Aeron over shared memory (`aeron:ipc`), its C driver in a process of its own. Offers copy in; the assembler puts together
//! what is longer than a fragment. It has no way to sleep for a message.

use crate::{Task, fill, nanos, one_way, read};
use rusteron_client::{
    Aeron, AeronContext, AeronFragmentClosureAssembler, AeronHeader, AeronPublication, AeronSubscription,
    Handlers,
};
use rusteron_media_driver::{AeronDriver, AeronDriverContext};
use std::ffi::CString;
use std::time::Duration;

const CHANNEL: &std::ffi::CStr = c"aeron:ipc?term-length=64m";
const PATIENCE: Duration = Duration::from_secs(20);

fn publication(aeron: &Aeron, stream: i32) -> AeronPublication {
    let publication = aeron
        .async_add_publication(CHANNEL, stream)
        .expect("asked")
        .poll_blocking(PATIENCE)
        .expect("a publication");
    while !publication.is_connected() {
        std::hint::spin_loop();
    }
    publication
}

fn subscription(aeron: &Aeron, stream: i32) -> AeronSubscription {
    let asked = aeron.async_add_subscription(CHANNEL, stream, Handlers::NONE, Handlers::NONE).expect("asked");
    asked.poll_blocking(PATIENCE).expect("a subscription")
}

fn send(publication: &AeronPublication, buffer: &mut [u8], number: u64) {
    fill(buffer, number);
    while publication.offer(buffer).is_err() {
        std::hint::spin_loop();
    }
}

/// Messages as they come.
struct Receiver {
    subscription: AeronSubscription,
    assembler: AeronFragmentClosureAssembler,
}

impl Receiver {
    fn new(aeron: &Aeron, stream: i32) -> Self {
        let assembler = AeronFragmentClosureAssembler::new().expect("an assembler");
        Self { subscription: subscription(aeron, stream), assembler }
    }

    /// One message's number.
    fn receive(&mut self) -> u64 {
        fn on_message(got: &mut Option<u64>, bytes: &[u8], _: AeronHeader) {
            *got = Some(read(bytes));
        }
        let mut got = None;
        while got.is_none() {
            self.assembler.poll(&self.subscription, &mut got, on_message, 1).expect("polled");
        }
        got.expect("received")
    }

    /// Messages from `next` on, some at a time; the next one.
    fn receive_some(&mut self, next: u64) -> u64 {
        fn on_message(next: &mut u64, bytes: &[u8], _: AeronHeader) {
            assert_eq!(read(bytes), *next);
            *next += 1;
        }
        let mut next = next;
        self.assembler.poll(&self.subscription, &mut next, on_message, 256).expect("polled");
        next
    }
}

pub fn work(task: &Task, core: usize, pin: fn(usize)) {
    let directory = CString::new(task.name.as_str()).expect("a path");
    if task.role == "driver" {
        // Its threads where the system likes.
        let context = AeronDriverContext::new().expect("a context");
        context.set_dir(&directory).expect("its directory");
        let (_stop, handle) = AeronDriver::launch_embedded(context, false);
        std::thread::sleep(Duration::from_millis(300));
        println!("ready");
        handle.join().expect("the driver").expect("its end");
        return;
    }
    let context = AeronContext::new().expect("a context");
    context.set_dir(&directory).expect("its directory");
    let aeron = Aeron::new(&context).expect("a client");
    aeron.start().expect("started");
    // After its conductor's thread, which would inherit it.
    pin(core);
    let mut buffer = vec![0; task.len];
    match task.role.as_str() {
        "echo" => {
            let mut receiver = Receiver::new(&aeron, 1);
            println!("ready");
            let publication = publication(&aeron, 2);
            for _ in 0..task.count {
                let number = receiver.receive();
                send(&publication, &mut buffer, number);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        "ping" => {
            let mut receiver = Receiver::new(&aeron, 2);
            let publication = publication(&aeron, 1);
            let mut times = Vec::with_capacity(task.count as usize);
            for number in 0..task.count {
                let begun = nanos();
                send(&publication, &mut buffer, number);
                let back = receiver.receive();
                times.push(nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
        }
        "sub" => {
            let mut receiver = Receiver::new(&aeron, 1);
            println!("ready");
            let mut next = 0;
            while next < task.count {
                next = receiver.receive_some(next);
            }
            println!("{}", nanos());
        }
        role => {
            assert_eq!(role, "pub");
            let publication = publication(&aeron, 1);
            let begun = nanos();
            for number in 0..task.count {
                send(&publication, &mut buffer, number);
            }
            println!("{begun}");
            // What was sent is gone with its publisher.
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
