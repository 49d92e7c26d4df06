#![allow(unsafe_code)] // sends signals to threads

use super::*;
use crate::mq::Options;

#[test]
fn the_umask_does_not_narrow_the_access() {
    for (access, wanted) in [(Access::Private, 0o600), (Access::Group, 0o660), (Access::World, 0o666)] {
        let name = format!("/crossing-mq-mode-{}-{wanted:o}", std::process::id());
        let queue = Options::new().access(access).create(&name).expect("create");
        let found = fstat(queue.handle().as_fd()).expect("fstat").st_mode & 0o777;
        unlink(&name).expect("unlink");
        assert_eq!(found, wanted);
    }
}

#[test]
fn the_bytes_of_a_queue_are_counted_as_the_kernel_does() {
    // getrlimit(2): 48 bytes for the message's head, 48 for its node in the tree, and the message itself.
    assert_eq!(queue_bytes(10, 8192), 10 * (48 + 48 + 8192));
    let name = format!("/crossing-mq-bytes-{}", std::process::id());
    let error =
        creation_error(io::Error::from_raw_os_error(libc::EMFILE), "create message queue", &name, 10, 1024);
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    let text = error.to_string();
    assert!(text.contains("11200 bytes") && text.contains("ulimit -q"), "{text}");
    let full =
        creation_error(io::Error::from_raw_os_error(libc::ENOSPC), "create message queue", &name, 10, 1024);
    assert!(full.to_string().contains("fs.mqueue.queues_max"), "{full}");
}

extern "C" fn ignore(_: libc::c_int) {}

/// Runs `wait` on a thread, interrupts it by signals that restart nothing, then calls `end`; `wait` must not have ended
/// before.
fn interrupt<T: Send>(wait: impl FnOnce() -> T + Send, end: impl FnOnce()) -> T {
    // SAFETY: sigaction is made of integers and an optional function, for which all zeros is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the action is valid, its handler does nothing; nobody else uses this signal.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) }, 0);
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = scope.spawn(move || {
            // SAFETY: has no requirements.
            tell.send(unsafe { libc::pthread_self() }).expect("send");
            wait()
        });
        let thread = told.recv().expect("recv");
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            assert!(!waiter.is_finished(), "a signal ended the wait");
            // SAFETY: the thread has not been joined, so its id is valid.
            assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
        }
        end();
        waiter.join().expect("join")
    })
}

#[test]
fn signals_end_no_wait() {
    use crate::named_semaphore::{self, NamedSemaphore};
    use crate::sysv::{self, Key, Select, SemaphoreSet, Undo};
    use std::time::Duration;
    let name = format!("/crossing-signal-{}", std::process::id());
    let key = Key(0x0800_0000 | (std::process::id() & 0x3f_ffff).cast_signed());

    let queue = Options::new().max_messages(1).max_message_len(8).create(&name).expect("create");
    unlink(&name).expect("unlink");
    let semaphore = NamedSemaphore::create(&name, 0, Access::Private).expect("create");
    named_semaphore::unlink(&name).expect("unlink");
    let set = SemaphoreSet::create(key, &[0], Access::Private).expect("create");
    let systemv = sysv::MessageQueue::create(key, Access::Private).expect("create");
    for deadline in [None, Some(Instant::now() + Duration::from_secs(30))] {
        let received = interrupt(
            || queue.recv_deadline(&mut [0; 8], deadline).map(|received| received.len),
            || queue.try_send(b"end", 0).expect("send"),
        );
        assert_eq!(received.expect("receive"), 3);
        let taken = interrupt(|| semaphore.wait_deadline(deadline), || semaphore.post().expect("post"));
        assert!(taken.expect("wait"));
        let taken = interrupt(
            || set.wait_deadline(0, Undo::Never, deadline),
            || set.post(0, Undo::Never).expect("post"),
        );
        assert!(taken.expect("wait"));
        let received = interrupt(
            || systemv.recv_deadline(&mut [0; 8], Select::Any, deadline).map(|message| message.len),
            || systemv.try_send(b"end", 1).expect("send"),
        );
        assert_eq!(received.expect("receive"), 3);
    }
    set.remove().expect("remove");
    systemv.remove().expect("remove");
}
