//! The branch filter over any bytes, cut anywhere, and beside the address map of nothing.

use dsync_exe::{AddressMap, CodeRange, Machine, absolute, align, find_code, make_absolute, relative};
use dsync_testkit::linked;
use proptest::collection::vec;
use proptest::prelude::*;

const MACHINES: [(Machine, dsync_testkit::Machine); 2] =
    [(Machine::X86, dsync_testkit::Machine::X86), (Machine::Aarch64, dsync_testkit::Machine::Aarch64)];

/// Code with many instructions that hold a distance, some of them cut off.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let x86 = prop_oneof![
        any::<[u8; 4]>().prop_map(|distance| [&[0xe8][..], &distance].concat()),
        any::<[u8; 4]>().prop_map(|distance| [&[0x48, 0x8d, 0x05][..], &distance].concat()),
        any::<[u8; 4]>().prop_map(|distance| [&[0x0f, 0x84][..], &distance].concat()),
        any::<[u8; 5]>().prop_map(|distance| [&[0x80, 0x3d][..], &distance].concat()),
        vec(prop_oneof![Just(0x66), Just(0x0f), Just(0xc5), Just(0x62), any::<u8>()], 0..6),
    ];
    let aarch64 = (any::<u32>(), 0_u8..4).prop_map(|(word, kind)| match kind {
        0 => (0x9400_0000 | word & 0x3ff_ffff).to_le_bytes().to_vec(),
        1 => (0x9000_0000 | word & 0x60ff_ffff).to_le_bytes().to_vec(),
        2 => word.to_le_bytes().to_vec(),
        _ => vec![word as u8],
    });
    vec(prop_oneof![x86, aarch64], 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_code_is_restored_at_any_address(code in code(), addr in any::<u32>()) {
        for (machine, _) in MACHINES {
            let mut changed = code.clone();
            absolute(&mut changed, machine, addr);
            prop_assert_eq!(changed.len(), code.len());
            relative(&mut changed, machine, addr);
            prop_assert_eq!(&changed, &code);
            // The inverse of the inverse, too: a hostile peer may send either.
            relative(&mut changed, machine, addr);
            absolute(&mut changed, machine, addr);
            prop_assert_eq!(&changed, &code);
        }
    }

    #[test]
    fn parts_of_a_program_are_restored_wherever_it_is_cut(
        cuts in vec(0_usize..20_000, 0..9),
        machine in 0_usize..2,
        skew in 0_u32..9,
    ) {
        let (machine, linked_for) = MACHINES[machine];
        let program = linked(linked_for, "cut", 60, &[3, 20]);
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(program.len())).collect();
        ends.push(program.len());
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            let part = &program[from..end];
            let mut changed = part.to_vec();
            absolute(&mut changed, machine, (from as u32).wrapping_add(skew));
            relative(&mut changed, machine, (from as u32).wrapping_add(skew));
            prop_assert_eq!(&changed[..], part);
            from = end;
        }
    }
}

/// The code of a program in memory.
fn code_of(file: &[u8]) -> Vec<CodeRange> {
    let read_at = |at: u64, out: &mut [u8]| {
        out.copy_from_slice(&file[at as usize..][..out.len()]);
        Ok(())
    };
    find_code(file.len() as u64, read_at).expect("reads within the file")
}

#[test]
fn calls_of_one_function_become_equal_bytes() {
    for (machine, linked_for) in MACHINES {
        let program = linked(linked_for, "calls", 300, &[]);
        let [code] = &code_of(&program)[..] else { panic!("one section of code") };
        assert_eq!((code.machine, code.range.start as u32), (machine, code.addr));
        let mut filtered = program.clone();
        make_absolute(&mut filtered);
        let (start, end) = (code.range.start as usize, code.range.end as usize);
        assert!(
            filtered[..start] == program[..start] && filtered[end..] == program[end..],
            "only code changes"
        );
        // 300 functions are called some 3,000 times: as distances nearly all differ, as addresses there are 300.
        let calls = |bytes: &[u8]| -> std::collections::HashSet<Vec<u8>> {
            let is_call = |four: &&[u8]| match machine {
                Machine::X86 => four[0] == 0xe8,
                Machine::Aarch64 => four[3] >> 2 == 0x25,
            };
            let (step, len) = if machine == Machine::X86 { (1, 5) } else { (4, 4) };
            let places = (start..end - len).step_by(step).filter(|at| is_call(&&program[*at..at + len]));
            places.map(|at| bytes[at..at + len].to_vec()).collect()
        };
        let (distances, addresses) = (calls(&program).len(), calls(&filtered).len());
        assert!(addresses * 3 < distances, "{machine:?}: {distances} distances, {addresses} addresses");
    }
}

#[test]
fn a_map_that_moves_nothing_leaves_a_program_as_the_filter_does() {
    let nothing = AddressMap::decode(&[0]).unwrap();
    for (_, linked_for) in MACHINES {
        let program = linked(linked_for, "nothing", 200, &[7]);
        let mut filtered = program.clone();
        make_absolute(&mut filtered);
        assert!(align(&program, &nothing) == filtered, "{linked_for:?}");
        assert!(filtered != program);
    }
}

#[test]
fn what_is_no_program_is_left_alone() {
    let program = linked(dsync_testkit::Machine::X86, "alone", 20, &[]);
    for bytes in [&b""[..], b"\x7fELF", &program[..63], &program[1..]] {
        let mut changed = bytes.to_vec();
        make_absolute(&mut changed);
        assert_eq!(changed, bytes);
    }
    // One that ends before its table of sections.
    let mut short = program[..program.len() - 1].to_vec();
    let before = short.clone();
    make_absolute(&mut short);
    assert!(short == before);
}
