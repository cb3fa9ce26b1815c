//! Links of several speeds, and the bounds of memory.

use super::*;

const MIB_256: u64 = 256 << 20;

/// Batches of 10 MB that become 1 MB, over a link that takes so long for one; coding costs so much at level 3.
fn settle(controller: &mut EffortController, fastest: Duration, link: Duration, blocks: Duration) -> i32 {
    for _ in 0..30 {
        let effort = controller.effort();
        let (_, cost) = LADDER.iter().find(|(level, _)| Effort::Level(*level) == effort).unwrap();
        let coding = fastest.mul_f64(cost / LADDER[0].1);
        controller
            .observe(BatchTiming { effort, raw: 10_000_000, packed: 1_000_000, coding, sending: blocks }, 2);
        controller.took(1_000_000, link);
    }
    LADDER[controller.rung].0
}

#[test]
fn a_slow_link_gets_fewer_bytes_and_a_fast_one_sooner() {
    let mut controller = EffortController::new(Compression::Auto, MIB_256, None);
    let fastest = Duration::from_millis(5);
    let mut settle = |link, blocks| {
        settle(&mut controller, fastest, Duration::from_millis(link), Duration::from_millis(blocks))
    };
    assert_eq!(settle(8000, 0), 18);
    assert_eq!(settle(1, 1), 3);
    // On one of two cores 12 takes 26 ms, and 18 takes 269 ms.
    assert_eq!(settle(100, 0), 12);
    // The link is fast, but the engine at its end is not.
    assert_eq!(settle(1, 100), 12);
    assert_eq!(settle(1, 15), 9);
}

#[test]
fn it_begins_as_the_link_was_last_time() {
    let level = |speed| LADDER[EffortController::new(Compression::Auto, MIB_256, Some(speed)).rung].0;
    assert_eq!(level(125_000), 18);
    assert_eq!(level(2_500_000), 12);
    assert_eq!(level(12_500_000), 9);
    assert_eq!(level(500_000_000), 3);
    assert_eq!(level(0), 18);
}

#[test]
fn memory_bounds_batches_and_workers() {
    let controller = |compression, mib: u64| {
        let controller = EffortController::new(compression, mib << 20, None);
        let limit = controller.limit();
        (limit >> 20, controller.most_workers(limit))
    };
    assert_eq!(controller(Compression::Max, 256), (24, 1));
    assert_eq!(controller(Compression::Max, 1024), (24, 4));
    assert_eq!(controller(Compression::Max, 64), (5, 1));
    assert_eq!(controller(Compression::Auto, 256), (24, 2));
    assert_eq!(controller(Compression::Auto, 32), (4, 1));
}

#[test]
fn what_was_asked_for_stays() {
    let mut controller = EffortController::new(Compression::Level(7), MIB_256, None);
    let (coding, sending) = (Duration::ZERO, Duration::from_secs(9));
    controller.observe(BatchTiming { effort: Effort::Level(7), raw: 1, packed: 1, coding, sending }, 1);
    assert_eq!(controller.effort(), Effort::Level(7));
}

/// A batch of 1 MB that became 250 kB, coded with this effort.
fn batch(effort: Effort, coding: Duration, sending: Duration) -> BatchTiming {
    BatchTiming { effort, raw: 1_000_000, packed: 250_000, coding, sending }
}

/// A controller that codes with this level, of a link whose speed is not known.
fn at_level(level: i32) -> EffortController {
    let rung = LADDER.iter().position(|(other, _)| *other == level).unwrap();
    EffortController { rung, ..EffortController::new(Compression::Auto, MIB_256, None) }
}

fn level(controller: &EffortController) -> i32 {
    LADDER[controller.rung].0
}

#[test]
fn a_batch_raises_the_level_by_one_at_most() {
    let mut controller = at_level(3);
    let mut levels = Vec::new();
    for _ in 0..6 {
        controller.observe(batch(controller.effort(), Duration::ZERO, Duration::from_secs(100)), 1);
        levels.push(level(&controller));
    }
    assert_eq!(levels, [5, 9, 12, 18, 18, 18]);
}

#[test]
fn the_level_falls_only_when_the_target_told_of_the_link() {
    let slow = Duration::from_secs(1);
    let mut controller = at_level(12);
    // A buffer that takes all bytes at once looks like a link without end.
    controller.observe(batch(controller.effort(), slow, Duration::ZERO), 1);
    assert_eq!(level(&controller), 12);
    // Too few bytes to tell anything.
    controller.took(MEASURABLE - 1, Duration::from_millis(1));
    controller.observe(batch(controller.effort(), slow, Duration::ZERO), 1);
    assert_eq!(level(&controller), 12);
    controller.took(MEASURABLE, Duration::from_millis(1));
    controller.observe(batch(controller.effort(), slow, Duration::ZERO), 1);
    assert_eq!(level(&controller), 3, "as far as it must at once");
}

#[test]
fn only_a_fast_link_gets_less_than_the_usual_level() {
    // Coding is slower than either link at any level.
    for (nanos, expected) in [(100, LADDER[LOWEST_USUAL_RUNG].0), (70, 3)] {
        let mut controller = at_level(18);
        for _ in 0..5 {
            controller.took(1_000_000, Duration::from_nanos(nanos * 1_000_000));
            controller.observe(batch(controller.effort(), Duration::from_secs(10), Duration::ZERO), 1);
        }
        assert_eq!(level(&controller), expected, "{nanos} ns for a byte");
    }
}

#[test]
fn a_level_that_just_keeps_up_stays() {
    // The link takes 100 ms for a batch: 12 may cost 125 ms, and 18 nothing over 90 ms.
    for (coding, expected) in [(80, 12), (120, 12), (130, 9)] {
        let mut controller = at_level(12);
        controller.took(1_000_000, Duration::from_millis(400));
        controller.observe(batch(controller.effort(), Duration::from_millis(coding), Duration::ZERO), 1);
        assert_eq!(level(&controller), expected, "{coding} ms");
    }
}

#[test]
fn workers_share_the_time_of_coding() {
    let after = |workers| {
        let mut controller = at_level(9);
        controller.took(1_000_000, Duration::from_millis(400));
        controller.observe(batch(controller.effort(), Duration::from_millis(100), Duration::ZERO), workers);
        level(&controller)
    };
    assert_eq!((after(1), after(4)), (9, 12));
}

#[test]
fn a_batch_that_tells_nothing_changes_nothing() {
    let mut controller = at_level(9);
    let slow = Duration::from_secs(1);
    for sent in [
        batch(Effort::Max, slow, slow),
        batch(Effort::Level(4), slow, slow),
        BatchTiming { raw: 0, ..batch(Effort::Level(9), slow, slow) },
    ] {
        controller.observe(sent, 1);
        assert_eq!(
            (level(&controller), controller.costs, controller.sending),
            (9, [None; 5], None),
            "{sent:?}"
        );
    }
}

#[test]
fn no_batch_is_beyond_the_limits_and_no_more_are_coded_than_fit() {
    for compression in [Compression::Auto, Compression::Level(1), Compression::Level(19), Compression::Max] {
        for memory in [0, 1, FIXED, FIXED + 1, 18 << 20, 64 << 20, 1 << 30, 1 << 40, u64::MAX] {
            let mut controller = EffortController::new(compression, u64::MAX, None);
            controller.leave(memory);
            for has_old in [false, true] {
                let limit = limit_of(&controller, has_old);
                let workers = controller.most_workers(limit) as u64;
                assert!((limits::BATCH_LEAST..=limits::BATCH).contains(&limit), "{limit} of {memory}");
                let taken = workers.saturating_mul(u64::from(limit) * controller.memory_factor() + FIXED);
                assert!(workers == 1 || taken <= memory, "{workers} of {limit} in {memory}");
            }
        }
    }
    // Without old chunks, more than this finds little more.
    let limit = |compression, has_old| limit_of(&EffortController::new(compression, u64::MAX, None), has_old);
    assert_eq!(
        (limit(Compression::Auto, false), limit(Compression::Auto, true)),
        (COLD_BATCH, limits::BATCH)
    );
    assert_eq!(limit(Compression::Level(3), false), limits::BATCH);
    // The highest levels take more memory for a byte.
    let limit = |level| EffortController::new(Compression::Level(level), 64 << 20, None).limit() >> 20;
    assert_eq!((limit(18), limit(19)), (12, 5));
}

#[test]
fn filters_are_for_levels_that_leave_time() {
    let efforts = [3, 5, 9, 12, 18].map(Effort::Level).into_iter().chain([Effort::Max]);
    let filters: Vec<_> = efforts.map(|effort| (tells_addresses(effort), runs_filters(effort))).collect();
    let (neither, addresses, both) = ((false, false), (true, false), (true, true));
    assert_eq!(filters, [neither, neither, addresses, both, both, both]);
    assert!(!at_level(9).runs_filters() && at_level(12).runs_filters());
}

fn limit_of(controller: &EffortController, has_old: bool) -> u32 {
    if has_old { controller.limit() } else { controller.cold_limit() }
}
