//! Copies between private memory and memory that other processes may be writing at the same time.
//!
//! Rust's own copies must not race with a writer. On x86_64 and aarch64 these copies are inline assembly, opaque to the
//! compiler: whatever a peer does meanwhile, the outcome is some mixture of old and new bytes and nothing else. Other
//! architectures copy with relaxed atomic bytes.
#![allow(unsafe_code)] // raw copies in assembly

use std::sync::atomic::AtomicU64;
#[cfg(not(target_arch = "x86_64"))]
use std::sync::atomic::Ordering;

/// Copies `to.len()` bytes from shared memory at `from` into `to`.
///
/// # Safety
/// `from` must be mapped and readable for `to.len()` bytes. Racing writers are allowed.
#[inline]
pub unsafe fn from_shared(from: *const u8, to: &mut [u8]) {
    // SAFETY: the caller vouches for `from`; `to` is an exclusive slice of that length.
    unsafe { raw(from, to.as_mut_ptr(), to.len()) }
}

/// Copies `from` to shared memory at `to`.
///
/// # Safety
/// `to` must be mapped and writable for `from.len()` bytes. Racing readers and writers are allowed.
#[inline]
pub unsafe fn to_shared(from: &[u8], to: *mut u8) {
    // SAFETY: the caller vouches for `to`; `from` is a slice of that length.
    unsafe { raw(from.as_ptr(), to, from.len()) }
}

/// A copy of `bytes`, as fast wherever its memory lies.
///
/// # Platform-specific behavior
/// On some processors (x86-64) a copy forwards to a place 1 to 15 bytes further on than its source, by their offsets in their pages,
/// takes up to twenty times as long: there it goes backwards. The example `copies` of this crate shows it.
///
/// ```
/// assert_eq!(crossing_sys::copy::copied(b"bytes"), b"bytes");
/// ```
#[must_use]
pub fn copied(bytes: &[u8]) -> Vec<u8> {
    let copy = Vec::with_capacity(bytes.len());
    let backwards = bytes.len() >= 4 * PIECE && is_just_behind(bytes.as_ptr(), copy.as_ptr());
    fill(copy, bytes, backwards)
}

/// As much as every memcpy that is worth its name loads whole before it stores any of it.
const PIECE: usize = 256;

/// The empty `copy` with `bytes` in it.
#[inline]
fn fill(mut copy: Vec<u8>, bytes: &[u8], backwards: bool) -> Vec<u8> {
    if backwards {
        copy.resize(bytes.len(), 0);
        let pieces = copy.rchunks_mut(PIECE).zip(bytes.rchunks(PIECE));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
    } else {
        copy.extend_from_slice(bytes);
    }
    copy
}

/// Whether each store of a copy forwards is taken by the processor, which compares offsets in pages first, for one that the next
/// load needs. Measured on an AMD EPYC, 64 KiB in its own caches: 20 us for a distance of 1 to 15, 1.7 to 2.4 for 16 to 63 but 32,
/// 1.2 for others, by glibc's memcpy and by `rep movsb`; backwards 1.2 to 1.8 for all.
#[inline]
fn is_just_behind(from: *const u8, to: *const u8) -> bool {
    cfg!(target_arch = "x86_64") && (1..16).contains(&(to.addr().wrapping_sub(from.addr()) % 4096))
}

#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn raw(from: *const u8, to: *mut u8, len: usize) {
    if len >= 32 && is_just_behind(from, to) {
        // SAFETY: the callers' contracts, and more than 16 bytes.
        return unsafe { raw_backwards(from, to, len) };
    }
    // SAFETY: both ranges are accessible by the callers' contracts; `rep movsb` with the direction flag clear (the ABI's
    // guarantee) reads and writes exactly `len` bytes.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags));
    }
}

/// As [`raw`], from the end, for what [is just behind](is_just_behind); at least 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
unsafe fn raw_backwards(from: *const u8, to: *mut u8, len: usize) {
    debug_assert!(len >= 16);
    // SAFETY: both ranges are accessible by the callers' contracts. The loop reads and writes the last 16 bytes that are left, as
    // long as there are 16, and then the first 16, of which some may be copied twice: none outside of `len`.
    unsafe {
        core::arch::asm!(
            "2:", "movups {x}, [{s} + {n} - 16]", "movups [{d} + {n} - 16], {x}", "sub {n}, 16", "cmp {n}, 16", "jae 2b",
            "movups {x}, [{s}]", "movups [{d}], {x}",
            n = inout(reg) len => _, s = in(reg) from, d = in(reg) to, x = out(xmm_reg) _, options(nostack));
    }
}

#[cfg(target_arch = "aarch64")]
#[inline]
unsafe fn raw(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: both ranges are accessible by the callers' contracts; the loops read and write exactly `len` bytes.
    unsafe {
        core::arch::asm!(
            "2:", "cmp {n}, #16", "b.lo 3f",
            "ldp {a}, {b}, [{s}], #16", "stp {a}, {b}, [{d}], #16", "sub {n}, {n}, #16", "b 2b",
            "3:", "cbz {n}, 4f",
            "ldrb {a:w}, [{s}], #1", "strb {a:w}, [{d}], #1", "sub {n}, {n}, #1", "b 3b",
            "4:",
            n = inout(reg) len => _, s = inout(reg) from => _, d = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _, options(nostack));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
unsafe fn raw(from: *const u8, to: *mut u8, len: usize) {
    use std::sync::atomic::{AtomicU8, Ordering};
    for index in 0..len {
        // SAFETY: in range by the callers' contracts; AtomicU8 has the layout of u8.
        let source = unsafe { &*from.add(index).cast::<AtomicU8>() };
        // SAFETY: as above.
        let target = unsafe { &*to.add(index).cast::<AtomicU8>() };
        // Relaxed: bytes only; whoever needs order has a protocol word around the copy.
        target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Stores `from` in two words that others may be reading: each word is old or new. One store where the processor has one of that
/// width: stores wait for their lines in order, and take fewer places in the queue so. It is loaded in halves, since what was
/// just written in narrow pieces can be loaded by a wide one only when all stores before it have their lines.
#[inline]
pub fn store_pair(to: &[AtomicU64; 2], from: &[u8; 16]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: both are 16 bytes that live; the words may be written through a shared reference, being atomics, and what is opaque
    // to the compiler tolerates others.
    unsafe {
        core::arch::asm!("movq {x}, [{f}]", "movhps {x}, [{f} + 8]", "movups [{t}], {x}",
            f = in(reg) from, t = in(reg) to, x = out(xmm_reg) _, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let (halves, _) = from.as_chunks::<8>();
        for (word, half) in to.iter().zip(halves) {
            // Relaxed: bytes only; whoever needs order has a protocol word around them.
            word.store(u64::from_ne_bytes(*half), Ordering::Relaxed);
        }
    }
}

/// Brings the line at an address near, for it alone to be written if `WRITE`. A hint, whatever the address: of no effect but on
/// time.
///
/// In assembly, since a compiler that is told of no processor newer than the first of x86-64 makes a read of it, and a line that
/// others have too must be fetched again when it is written.
#[inline]
pub fn bring_near<const WRITE: bool>(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    if WRITE {
        // SAFETY: a hint: it neither reads nor faults; processors that do not know it do nothing.
        unsafe {
            core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
        };
    } else {
        // SAFETY: as above.
        unsafe {
            core::arch::asm!("prefetcht0 [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
        };
    }
    #[cfg(target_arch = "aarch64")]
    if WRITE {
        // SAFETY: as above.
        unsafe {
            core::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
        };
    } else {
        // SAFETY: as above.
        unsafe {
            core::arch::asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
        };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}

/// Whether [`send_away`] has an effect on this processor.
///
/// # Platform-specific behavior
/// x86-64 with CLFLUSHOPT; elsewhere `false`.
#[must_use]
pub fn can_send_away() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *KNOWN.get_or_init(|| {
            use core::arch::x86_64::{__cpuid, __cpuid_count};
            // Leaf 7: EBX, bit 23 (Intel SDM, CPUID).
            __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & 1 << 23 != 0
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Sends the line of `word` from all caches to memory: who writes it next need not take it from this core. Of no effect but on
/// time; only where [`can_send_away`] says so.
#[inline]
pub fn send_away(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the address is that of a living word; a flush changes no content.
    unsafe {
        core::arch::asm!("clflushopt [{}]", in(reg) word, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
