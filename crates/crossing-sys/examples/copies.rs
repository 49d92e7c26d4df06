//! What a copy of 64 KiB costs, by how far its target lies behind its source, page offsets compared: as the C library's memcpy goes,
//! forwards, and as shared memory is copied here. `cargo run --release -p crossing-sys --example copies`.
#![allow(unsafe_code)] // calls the copy to shared memory

use std::hint::black_box;
use std::time::Instant;

const LEN: usize = 64 << 10;
const PAGE: usize = 4096;

/// Nanoseconds of the fastest of many.
fn fastest(mut copy: impl FnMut()) -> u128 {
    let once = |_| {
        let begun = Instant::now();
        copy();
        begun.elapsed().as_nanos()
    };
    (0..200).map(once).min().unwrap_or(0)
}

fn main() {
    let source = vec![1_u8; LEN];
    let mut target = vec![0_u8; LEN + 2 * PAGE];
    println!("behind  memcpy  to_shared");
    for distance in [0, 1, 8, 15, 16, 24, 32, 64, 256, PAGE - 8] {
        let ahead = source.as_ptr().addr().wrapping_add(distance).wrapping_sub(target.as_ptr().addr()) % PAGE;
        let place = &mut target[ahead..ahead + LEN];
        let forwards = fastest(|| black_box(&mut *place).copy_from_slice(black_box(&source)));
        // SAFETY: the place has as many bytes, and nobody else has it.
        let shared = fastest(|| unsafe { crossing_sys::copy::to_shared(&source, place.as_mut_ptr()) });
        println!("{distance:6}  {forwards:6}  {shared:9}");
    }
}
