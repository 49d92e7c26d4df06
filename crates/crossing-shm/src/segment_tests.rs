use super::*;
use crate::registry;
use crossing_sync::{MutexCell, SemaphoreCell};

fn name(what: &str) -> String {
    format!("unit-{what}-{}", std::process::id())
}

#[test]
fn two_openings_share_bytes_and_cells_and_the_owner_removes() {
    let name = name("share");
    let segment = Segment::options().size(4096).schema(9).create(&name).unwrap();
    let other = Segment::options().size(4096).schema(9).open(&name).unwrap();
    assert!(segment.created() && !other.created());
    segment.write_bytes(4093, b"end").unwrap();
    let mut end = [0; 3];
    other.read_bytes(4093, &mut end).unwrap();
    assert_eq!(&end, b"end");
    let mutex = segment.attach::<MutexCell<u64>>(0).unwrap();
    let seen = other.attach::<MutexCell<u64>>(0).unwrap();
    *mutex.lock().into_guard() = 5;
    assert_eq!(seen.lock().into_guard().get(), 5);
    assert_eq!(registry::inspect(&name).unwrap().participants.iter().filter(|user| user.alive).count(), 2);
    drop(segment);
    assert_eq!(registry::inspect(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(seen.lock().into_guard().get(), 5, "who has it open keeps it");
}

#[test]
fn wishes_that_do_not_fit_name_both_sides() {
    let name = name("wishes");
    let _segment = Segment::options().size(4096).schema(9).create(&name).unwrap();
    for (options, words) in [
        (Segment::options().size(100).clone(), "4096 bytes, 100"),
        (Segment::options().min_size(5000).clone(), "at least 5000"),
        (Segment::options().schema(8).clone(), "0x9, 0x8"),
    ] {
        let error = options.open(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(Segment::options().size(1).create(&name).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(Segment::options().create(&name).unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[test]
fn nothing_reaches_outside() {
    let segment = Segment::options().size(100).anonymous("edges").unwrap();
    segment.write_bytes(100, b"").unwrap();
    for (offset, len) in [(100, 1), (0, 101), (usize::MAX, 1), (1, usize::MAX)] {
        let mut to = vec![0; len.min(200)];
        if to.len() == len {
            assert_eq!(segment.read_bytes(offset, &mut to).unwrap_err().kind(), ErrorKind::ApiMisuse);
            assert_eq!(segment.write_bytes(offset, &to).unwrap_err().kind(), ErrorKind::ApiMisuse);
        }
    }
    assert!(segment.attach::<MutexCell<u64>>(96).is_err(), "past the end");
    assert!(segment.attach::<MutexCell<u64>>(4).is_err(), "not aligned");
    assert!(segment.attach::<SemaphoreCell>(0).is_err(), "larger than the segment");
    assert!(segment.shared::<std::sync::atomic::AtomicU64>(92).is_err());
}

#[test]
fn readers_cannot_write_nor_attach() {
    let name = name("readers");
    let segment = Segment::options().size(64).create(&name).unwrap();
    let reader = Segment::options().read_only(true).open(&name).unwrap();
    assert_eq!(reader.write_bytes(0, b"x").unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(reader.attach::<MutexCell<u64>>(0).map(|_| ()).unwrap_err().kind(), ErrorKind::Unsupported);
    drop((reader, segment));
}

#[test]
fn persistent_ones_stay_until_removed_and_the_living_are_not_removed() {
    let name = name("persist");
    let segment = Segment::options().size(64).persist(true).create(&name).unwrap();
    segment.write_bytes(0, b"kept").unwrap();
    assert_eq!(registry::remove(&name).unwrap_err().kind(), ErrorKind::Busy);
    drop(segment);
    let entry = registry::inspect(&name).unwrap();
    assert!(entry.persist && !entry.stale && !entry.owned && entry.size == 64);
    let again = Segment::options().open_or_create(&name).err().map(|error| error.kind());
    assert_eq!(again, Some(ErrorKind::ApiMisuse), "no size to create with");
    let mut kept = [0; 4];
    Segment::options().size(64).open_or_create(&name).unwrap().read_bytes(0, &mut kept).unwrap();
    assert_eq!(&kept, b"kept");
    registry::remove(&name).unwrap();
    assert_eq!(registry::remove(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn too_large_fails_with_figures_and_leaves_nothing() {
    let name = name("large");
    // A machine of 32 bits may have room for all that it can address.
    let Ok(size) = usize::try_from(1_u64 << 50) else { return };
    let error = Segment::options().size(size).create(&name).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSpace { need, have } if need > have), "{error}");
    assert!(!Place::new(&directory::runtime_root().unwrap(), &name).unwrap().directory.exists());
}

#[test]
fn handles_travel_and_each_user_is_a_participant() {
    let segment = Segment::options().size(256).anonymous("travel").unwrap();
    let handle = segment.handle().unwrap().try_clone().unwrap();
    let received = Segment::options().from_handle(handle).unwrap();
    let mutex = received.attach::<MutexCell<u64>>(0).unwrap();
    std::mem::forget(mutex.lock());
    drop((mutex, received));
    assert!(segment.attach::<MutexCell<u64>>(0).unwrap().lock().is_recovered());
}

#[test]
fn pools_lend_leave_take_and_reclaim() {
    let name = name("pool");
    let segment = Segment::options().size(4096).create(&name).unwrap();
    let pool = segment.create_pool(64, 4, 100).unwrap();
    let other = Segment::options().open(&name).unwrap();
    let theirs = other.open_pool(64).unwrap();
    let mut loan = pool.loan(10).unwrap();
    loan.copy_from_slice(b"0123456789");
    let offset = loan.leave();
    assert_eq!(&*theirs.take(offset, 10).unwrap(), b"0123456789");
    assert_eq!(theirs.take(offset, 10).unwrap_err(), crate::LoanError::NotLeft);
    assert_eq!(theirs.take(offset + 1, 10).unwrap_err(), crate::LoanError::NotLeft);
    assert_eq!(pool.loan(101).unwrap_err(), crate::LoanError::TooLong { len: 101, max: 100 });
    let held: Vec<_> = (0..4).map(|_| theirs.loan(1).unwrap()).collect();
    assert_eq!(pool.loan(1).unwrap_err(), crate::LoanError::Empty);
    held.into_iter().for_each(std::mem::forget);
    // The forgotten loans keep their handle of the region alive; so does a process that hangs. Now it "dies".
    assert_eq!((pool.stats().loaned, pool.reclaim()), (4, 0));
    assert!(segment.open_pool(128).is_err(), "no pool there");
    assert!(segment.create_pool(64, 1000, 100).is_err(), "larger than the segment");
}
