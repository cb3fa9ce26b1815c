//! Frames as they come over a pipe.

use dsync_proto::{Channel, HEADER_LEN, Header};
use dsync_sync::fuzzing::frames;

use crate::reads::Short;
use crate::{Memory, Target};

/// Any bytes, read as frames: those that are read are the bytes that came, and a length alone takes no memory.
pub(in crate::targets) const FRAMES: Target =
    Target { name: "frames", run, memory: Memory { least: 1 << 16, factor: 96 }, seeds };

fn run(input: &[u8]) {
    let (read, _) = frames(input);
    let mut rest = input;
    for (channel, payload) in &read {
        let header = rest.first_chunk::<HEADER_LEN>().and_then(|header| Header::decode(header).ok());
        let header = header.expect("a frame has a header");
        let is_cut = header.channel == Channel::Data && rest.len() < HEADER_LEN + header.len;
        let len = if is_cut { rest.len() - HEADER_LEN } else { header.len };
        assert_eq!((header.channel as u8, len), (*channel, payload.len()));
        assert!(header.len <= header.channel.limit());
        rest = &rest[HEADER_LEN..];
        assert!(rest.starts_with(payload));
        rest = &rest[payload.len()..];
    }
    // The rest is no frame, or not a whole one.
    let next = rest.first_chunk::<HEADER_LEN>().map(Header::decode);
    assert!(
        !matches!(next, Some(Ok(Header { len, .. })) if rest.len() >= HEADER_LEN + len),
        "a frame was not read"
    );
    assert_eq!(frames(Short(input, 3)).0, read, "short reads make other frames");
}

fn seeds() -> Vec<Vec<u8>> {
    let frame = |channel, payload: &[u8]| {
        let header = Header { channel, len: payload.len() }.encode().expect("it is short");
        [&header[..], payload].concat()
    };
    let all = [
        frame(Channel::Control, &[1, 2]),
        frame(Channel::Peer, &[6]),
        frame(Channel::Data, &[0; 300]),
        frame(Channel::Data, &[]),
        frame(Channel::Event, &[2, 9]),
        frame(Channel::Keepalive, &[]),
    ];
    vec![all.concat(), all[2][..100].to_vec(), vec![3, 0xff, 0xff, 0xff, 0xff], vec![2, 0, 0, 0xff, 0]]
}
