//! mmap(2), madvise(2), mlock(2).
#![allow(unsafe_code)] // mapping and unmapping

use crate::file::Handle;
use crate::map::{LockRefused, MapOptions};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::ptr::NonNull;

pub(crate) fn map(handle: &Handle, len: usize, options: &MapOptions) -> io::Result<NonNull<u8>> {
    let mut protection = ProtFlags::READ;
    if !options.read_only {
        protection |= ProtFlags::WRITE;
    }
    let mut flags = MapFlags::SHARED;
    // With huge pages the advice must come before the first touch.
    if options.populate && !options.advise_huge {
        flags |= MapFlags::POPULATE;
    }
    // SAFETY: a new mapping at a place of the kernel's choice disturbs no other memory.
    let address = unsafe { mm::mmap(std::ptr::null_mut(), len, protection, flags, &handle.0, 0) }?;
    if options.advise_huge {
        // A refusal means small pages: the caller has asked beforehand if it insists.
        // SAFETY: exactly the mapping made above; the advice changes no contents.
        let _ = unsafe { mm::madvise(address, len, Advice::LinuxHugepage) };
        if options.populate {
            let advice =
                if options.read_only { Advice::LinuxPopulateRead } else { Advice::LinuxPopulateWrite };
            // Kernels before 5.14 refuse, and pages then come at their first touch.
            // SAFETY: as above.
            let _ = unsafe { mm::madvise(address, len, advice) };
        }
    }
    NonNull::new(address.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

pub(crate) fn lock(pointer: NonNull<u8>, len: usize) -> Result<(), LockRefused> {
    // SAFETY: exactly a mapping made by `map`, still mapped; locking changes no contents.
    let outcome = unsafe { mm::mlock(pointer.as_ptr().cast(), len) };
    outcome.map_err(|errno| {
        let limit = getrlimit(Resource::Memlock).current;
        let over = limit.filter(|limit| *limit < len as u64 || errno == rustix::io::Errno::NOMEM);
        let fix =
            "raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK= of systemd, or /etc/security/limits.conf)";
        LockRefused { cause: errno.into(), limit: over.map(|limit| (limit, fix)) }
    })
}

pub(crate) fn unmap(pointer: NonNull<u8>, len: usize) {
    // SAFETY: exactly a mapping made by `map`, unmapped once, by the drop of its only owner.
    let _ = unsafe { mm::munmap(pointer.as_ptr().cast(), len) };
}

pub(crate) fn huge_advice_works() -> Result<(), &'static str> {
    let setting =
        std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    let chosen = setting.split('[').nth(1).and_then(|rest| rest.split(']').next());
    match chosen {
        Some("always" | "within_size" | "advise" | "force") => Ok(()),
        _ => Err(
            "`echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled` as root, or use an anonymous \
                  segment and `sysctl vm.nr_hugepages=N`",
        ),
    }
}

pub(crate) fn huge_page_len() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Hugepagesize:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.and_then(|kib| kib.checked_mul(1024)).filter(|len| len.is_power_of_two()).unwrap_or(2 << 20)
}
