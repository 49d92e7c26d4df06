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
