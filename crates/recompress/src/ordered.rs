//! Encodes pieces of a stream on several threads, and emits them in order.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::thread;

/// Encodes what `next` gives until it gives none, on so many threads, and hands the results to `take`. At most one
/// piece waits for a thread.
pub(crate) fn encode_all<P: Send, R: Send>(
    threads: NonZeroUsize,
    mut next: impl FnMut() -> io::Result<Option<P>>,
    encode: impl Fn(P) -> R + Sync,
    mut take: impl FnMut(R) -> io::Result<()>,
) -> io::Result<()> {
    let encode = &encode;
    thread::scope(|scope| {
        let mut running = VecDeque::with_capacity(threads.get());
        while let Some(piece) = next()? {
            if running.len() == threads.get() {
                take_first(&mut running, &mut take)?;
            }
            running.push_back(scope.spawn(move || encode(piece)));
        }
        while !running.is_empty() {
            take_first(&mut running, &mut take)?;
        }
        Ok(())
    })
}

fn take_first<R>(
    running: &mut VecDeque<thread::ScopedJoinHandle<'_, R>>,
    take: &mut impl FnMut(R) -> io::Result<()>,
) -> io::Result<()> {
    match running.pop_front() {
        Some(thread) => take(thread.join().expect("encoders do not panic")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
