#![allow(unsafe_code)] // raw copies

use super::*;
use std::sync::atomic::Ordering;

#[test]
fn copies_every_length_exactly() {
    for len in 0..200_usize {
        let source: Vec<u8> = (0..len).map(|byte| byte as u8 ^ 0x5a).collect();
        let mut target = vec![0xee_u8; len + 2];
        // SAFETY: both are vectors of sufficient length.
        unsafe { to_shared(&source, target[1..].as_mut_ptr()) };
        assert_eq!((target[0], target[len + 1]), (0xee, 0xee));
        let mut back = vec![0_u8; len];
        // SAFETY: as above.
        unsafe { from_shared(target[1..].as_ptr(), &mut back) };
        assert_eq!(back, source);
    }
}

#[test]
fn copies_are_exact_however_source_and_target_lie_to_each_other() {
    const LONGEST: usize = 1100;
    let source: Vec<u8> = (0..LONGEST + 4096).map(|byte| (byte * 31 % 251) as u8).collect();
    for len in [31, 32, 33, 47, 48, 63, 64, 255, 256, 1023, 1024, 1025, LONGEST] {
        let mut target = vec![0xee_u8; len + 2 * 4096];
        let distance = |at: usize, target: &[u8]| {
            target[at..].as_ptr().addr().wrapping_sub(source.as_ptr().addr()) % 4096
        };
        for wanted in [0, 1, 7, 8, 15, 16, 4095] {
            let at = (1..=4096).find(|at| distance(*at, &target) == wanted).unwrap();
            target.fill(0xee);
            // SAFETY: vectors of sufficient length.
            unsafe { to_shared(&source[..len], target[at..].as_mut_ptr()) };
            assert_eq!(target[at..at + len], source[..len], "{len} bytes, {wanted} behind");
            assert_eq!((target[at - 1], target[at + len]), (0xee, 0xee), "{len} bytes, {wanted} behind");
        }
    }
}

#[test]
fn a_copy_is_exact_wherever_it_lies() {
    let source: Vec<u8> = (0..20_000_usize).map(|byte| (byte * 31 % 251) as u8).collect();
    for begin in 0..32 {
        for len in [0, 1, 255, 256, 257, 1023, 1024, 1025, 5000, 12_345] {
            let bytes = &source[begin..begin + len];
            assert_eq!(copied(bytes), bytes);
            assert_eq!(fill(Vec::new(), bytes, true), bytes);
        }
    }
    let lies =
        |distance: usize| is_just_behind(source.as_ptr(), source[4096..].as_ptr().wrapping_add(distance));
    assert_eq!(
        (1..16).filter(|distance| lies(*distance)).count(),
        if cfg!(target_arch = "x86_64") { 15 } else { 0 }
    );
    assert!(!lies(0) && !lies(16) && !lies(4095));
}

#[test]
fn a_pair_is_stored_as_it_is_and_nothing_beside_it() {
    let words: [AtomicU64; 4] = std::array::from_fn(|_| AtomicU64::new(u64::MAX));
    let bytes: [u8; 16] = std::array::from_fn(|byte| byte as u8);
    store_pair(words[1..].first_chunk().unwrap(), &bytes);
    let [before, one, other, after] = words.map(AtomicU64::into_inner);
    assert_eq!((before, after), (u64::MAX, u64::MAX));
    assert_eq!([one.to_ne_bytes(), other.to_ne_bytes()].concat(), bytes);
}

#[test]
fn what_is_sent_away_is_still_what_it_was() {
    let words: [AtomicU64; 16] = std::array::from_fn(|word| AtomicU64::new(word as u64));
    if can_send_away() {
        words.iter().for_each(send_away);
    }
    assert!(words.iter().zip(0..).all(|(word, value)| word.load(Ordering::Relaxed) == value));
}

#[test]
fn bringing_near_is_of_no_effect_whatever_the_address() {
    let value = 7_u8;
    for line in [std::ptr::null(), &raw const value, std::ptr::without_provenance(usize::MAX)] {
        bring_near::<true>(line);
        bring_near::<false>(line);
    }
    assert_eq!(value, 7);
}
