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
