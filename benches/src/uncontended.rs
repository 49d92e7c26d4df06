//! Lock and unlock with nobody in the way, in one process.

use crate::pthread::{Robust, Room};
use crate::table::{Row, Target, median};
use crossing_shm::Segment;
use crossing_sync::MutexCell;
use std::hint::black_box;
use std::time::Instant;

const TIMES: u32 = 400_000;

fn nanoseconds(mut step: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        step();
    }
    start.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

pub fn rows(rounds: usize) -> Vec<Row> {
    let segment = Segment::options().size(4096).anonymous("bench").expect("a segment");
    let ours = segment.attach::<MutexCell<u64>>(0).expect("a mutex");
    let room = segment.shared::<Room>(1024).expect("room for a pthread mutex");
    let robust = Robust::create(room);
    let (parking, standard) = (parking_lot::Mutex::new(0_u64), std::sync::Mutex::new(0_u64));
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds + 1 {
        let row = [
            nanoseconds(|| *black_box(&ours).lock().into_guard() += 1),
            nanoseconds(|| *black_box(&parking).lock() += 1),
            nanoseconds(|| *black_box(&standard).lock().expect("not poisoned") += 1),
            nanoseconds(|| {
                black_box(robust).lock();
                black_box(robust).unlock();
            }),
        ];
        if round > 0 {
            figures.iter_mut().zip(row).for_each(|(figures, figure)| figures.push(figure));
        }
    }
    assert_eq!(*ours.lock().into_guard(), u64::from(TIMES) * (rounds as u64 + 1));
    let [ours, theirs @ ..] = figures;
    let names = [
        "parking_lot::Mutex (in one process)",
        "std::sync::Mutex (in one process)",
        "pthread robust, process-shared",
    ];
    let targets = [Target::AtMost(1.3), Target::None, Target::None];
    let rows = names.into_iter().zip(theirs).zip(targets).map(|((name, mut theirs), target)| {
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        Row {
            what: format!("uncontended lock + unlock, against {name}"),
            ours: format!("{:.1} ns", median(&mut ours.clone())),
            theirs: format!("{:.1} ns", median(&mut theirs)),
            ratio: median(&mut ratios),
            target,
        }
    });
    rows.collect()
}
