//! Code that tells addresses in place of distances.

use dsync_exe::{Machine, absolute, relative};

use crate::{Memory, Target};

/// Bytes that were made absolute become the same again, whatever they are.
pub(in crate::targets) const BRANCHES: Target =
    Target { name: "branches", run, memory: Memory { least: 1 << 20, factor: 64 }, seeds };

fn run(input: &[u8]) {
    let Some((head, code)) = input.split_first_chunk::<5>() else { return };
    let addr = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let machine = if head[4] & 1 == 0 { Machine::X86 } else { Machine::Aarch64 };
    let mut changed = code.to_vec();
    absolute(&mut changed, machine, addr);
    assert_eq!(changed.len(), code.len());
    relative(&mut changed, machine, addr);
    assert!(changed == code, "{machine:?}: code came back as another");
}

fn seeds() -> Vec<Vec<u8>> {
    let x86: Vec<u8> = (0..60_u32)
        .flat_map(|at| {
            [
                &[0xe8][..],
                &(at * 96).to_le_bytes(),
                &[0x48, 0x8d, 0x3d],
                &at.to_le_bytes(),
                b"\x0f\x84ab\0\0\x90\xc3",
            ]
            .concat()
        })
        .collect();
    let arm: Vec<u8> = (0..60_u32)
        .flat_map(|at| [0x9400_0000 | at, 0x9000_0000 | at << 5, 0xf940_0000])
        .flat_map(u32::to_le_bytes)
        .collect();
    vec![[&[0, 0x10, 0, 0, 0][..], &x86].concat(), [&[0, 0x10, 0, 0, 1][..], &arm].concat()]
}
