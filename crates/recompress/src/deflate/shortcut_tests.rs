//! The shortcut against a walk along the whole chain.

use super::*;

/// Places by whether their first three bytes agree, the nearest first; of at most `tries` the longest match.
fn along_the_chain(window: &[u8], search: SearchParameters) -> Option<(usize, usize)> {
    let SearchParameters { here, mut best, least, tries, nice } = search;
    let mut found = None;
    let chain = (least..here).rev().filter(|at| window[*at..at + 3] == window[here..here + 3]);
    for at in chain.take(tries) {
        let length = common_prefix(&window[at..], &window[here..], LONGEST);
        if length > best {
            best = length;
            found = Some((length, at));
            if length >= nice {
                break;
            }
        }
    }
    found.filter(|(length, _)| *length >= 4)
}

#[test]
fn it_is_the_match_of_the_whole_chain() {
    let mut state = 1u32;
    let mut letter = |most: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % most) as u8
    };
    let mut window: Vec<u8> = (0..3000).map(|_| letter(3)).collect();
    window.extend_from_within(500..1500);
    window.extend((0..1000).map(|_| letter(9)));
    let mut found = 0;
    for (best, tries, nice) in [(2, 8, 16), (2, 1000, 258), (5, 32, 9), (9, 128, 128)] {
        let mut shortcut = Shortcut::<4>::new();
        let mut memory = [0; 2 * WINDOW];
        memory[..window.len()].copy_from_slice(&window);
        for here in 0..window.len() - LONGEST {
            let three = |at: usize| &window[at..at + 3];
            shortcut.number(here, (0..here).rev().find(|at| three(*at) == three(here)));
            let search = SearchParameters { here, best, least: here.saturating_sub(2500), tries, nice };
            let wanted = along_the_chain(&window, search);
            shortcut.remember(&memory, here + 1);
            assert_eq!(shortcut.find(&memory, search), wanted, "{here} {best} {tries} {nice}");
            found += usize::from(wanted.is_some());
        }
    }
    assert!(found > 1000);
}
