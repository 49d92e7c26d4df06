use super::*;

fn filled(scratch: &mut Scratch, byte: u8) -> Short {
    let mut short = scratch.take();
    short.words(24)[..3].fill(u64::from_ne_bytes([byte; 8]));
    short
}

#[test]
fn as_many_pieces_as_are_out_and_no_more() {
    let mut scratch = Scratch::default();
    for _ in 0..100 {
        assert_eq!(filled(&mut scratch, 7).bytes(), [7; 24]);
    }
    assert_eq!(scratch.pieces.len(), 1);
    let held: Vec<Short> = (0..40).map(|number| filled(&mut scratch, number)).collect();
    for (number, short) in held.iter().enumerate() {
        assert_eq!(short.bytes(), [number as u8; 24]);
    }
    drop(held);
    (0..1000).for_each(|number| drop(filled(&mut scratch, number as u8)));
    assert_eq!(scratch.pieces.len(), 40);
}

#[test]
fn a_long_message_has_its_own_room() {
    let mut scratch = Scratch::default();
    let mut long = scratch.take();
    long.room(1000).fill(9);
    assert_eq!(long.bytes(), [9; 1000]);
    assert!(long.bytes().as_ptr().cast::<Line>().is_aligned());
    long.truncate(3);
    assert_eq!(long.bytes(), [9; 3]);
}

#[test]
fn what_is_out_outlives_its_owner_and_is_freed_by_a_later_one() {
    let mut scratch = Scratch::default();
    let short = filled(&mut scratch, 5);
    let piece = short.0;
    drop(scratch);
    let is_listed = || ORPHANS.lock().unwrap().0.contains(&piece);
    assert!(is_listed());
    assert_eq!(short.bytes(), [5; 24]);
    std::thread::spawn(move || {
        assert_eq!(short.bytes(), [5; 24]);
        drop(short);
    })
    .join()
    .unwrap();
    drop(Scratch::default());
    assert!(!is_listed());
}

#[test]
fn pieces_go_to_and_fro_between_threads() {
    let (send, receive) = std::sync::mpsc::sync_channel::<Short>(8);
    let reader = std::thread::spawn(move || {
        receive.into_iter().enumerate().for_each(|(number, short)| {
            assert_eq!(short.bytes(), [number as u8; 24]);
        });
    });
    let mut scratch = Scratch::default();
    for number in 0..20_000_u32 {
        assert!(send.send(filled(&mut scratch, number as u8)).is_ok());
    }
    drop((send, scratch));
    reader.join().unwrap();
}
