//! Pieces on several threads: their order, their number, and failures.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

#[test]
fn pieces_leave_as_they_came() {
    for threads in [1, 2, 7] {
        let mut left = (0..50u64).collect::<VecDeque<_>>();
        let mut taken = Vec::new();
        let slow_if_even = |piece: u64| {
            thread::sleep(std::time::Duration::from_micros(piece % 2 * 300));
            piece
        };
        let threads = NonZeroUsize::new(threads).expect("there is one");
        let take = |piece| {
            taken.push(piece);
            Ok(())
        };
        encode_all(threads, || Ok(left.pop_front()), slow_if_even, take).expect("nothing fails");
        assert!(taken.iter().copied().eq(0..50));
    }
}

#[test]
fn a_failure_ends_it() {
    let result = encode_all(NonZeroUsize::MIN, || Ok(Some(())), |()| (), |()| Err(io::Error::other("full")));
    assert_eq!(result.expect_err("it is full").to_string(), "full");
}

/// At most as many pieces are under way as there are threads, and one more that waits.
#[test]
fn no_more_pieces_are_held_than_threads_and_one() {
    for threads in [1, 2, 4] {
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut left = 40;
        let next = || {
            left -= 1;
            most.fetch_max(held.fetch_add(1, SeqCst) + 1, SeqCst);
            Ok((left > 0).then_some(()))
        };
        let take = |()| {
            held.fetch_sub(1, SeqCst);
            Ok(())
        };
        encode_all(NonZeroUsize::new(threads).unwrap(), next, |()| (), take).unwrap();
        assert!(most.load(SeqCst) <= threads + 1, "{threads}: {most:?}");
    }
}

#[test]
fn a_failure_of_the_reader_ends_it_after_what_was_read() {
    let mut left = 5;
    let mut taken = 0;
    let next = || {
        left -= 1;
        if left == 0 { Err(io::Error::other("torn")) } else { Ok(Some(left)) }
    };
    let take = |_| {
        taken += 1;
        Ok(())
    };
    let result = encode_all(NonZeroUsize::new(2).unwrap(), next, |piece| piece, take);
    assert_eq!(result.unwrap_err().to_string(), "torn");
    assert!(taken <= 4);
}

#[test]
fn nothing_is_nothing() {
    let none = || Ok(None::<u8>);
    encode_all(NonZeroUsize::MIN, none, |piece| piece, |_| Err(io::Error::other("full"))).unwrap();
}
