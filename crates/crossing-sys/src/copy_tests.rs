#![allow(unsafe_code)] // raw copies

use super::*;

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
fn bringing_near_is_of_no_effect_whatever_the_address() {
    let value = 7_u8;
    for line in [std::ptr::null(), &raw const value, std::ptr::without_provenance(usize::MAX)] {
        bring_near::<true>(line);
        bring_near::<false>(line);
    }
    assert_eq!(value, 7);
}
