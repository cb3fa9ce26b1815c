//! A conversation as parts of an input: what one side says, frame by frame.

use dsync_proto::{Channel, Header};
use dsync_sync::fuzzing::{hear, tell};

use crate::pieces::parts;

/// No script has more parts.
const MOST: usize = 200;
/// Data frames are not longer.
const DATA: usize = 256 << 10;

/// The kind of a part, its first byte: a message of a channel; bytes of a stream as they are; bytes that are told,
/// which are packed here; the end of a stream; bytes that are no frame.
const CONTROL: u8 = b'c';
const PEER: u8 = b'p';
const EVENT: u8 = b'e';
const DATA_RAW: u8 = b'd';
const TOLD: u8 = b't';
const END: u8 = b'.';
const RAW: u8 = b'!';

/// The bytes of a script on the wire.
pub(super) fn wire(script: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts(script, MOST) {
        let Some((kind, payload)) = part.split_first() else { continue };
        match *kind {
            CONTROL => frame(Channel::Control, payload, &mut bytes),
            PEER => frame(Channel::Peer, payload, &mut bytes),
            EVENT => frame(Channel::Event, payload, &mut bytes),
            TOLD => frame(Channel::Data, &tell(payload), &mut bytes),
            END => frame(Channel::Data, &[], &mut bytes),
            RAW => bytes.extend_from_slice(payload),
            _ if payload.is_empty() => {}
            _ => frame(Channel::Data, payload, &mut bytes),
        }
    }
    bytes
}

/// The messages of a channel in a script.
pub(super) fn messages(script: &[u8], of: Channel) -> impl Iterator<Item = &[u8]> {
    let kind = match of {
        Channel::Control => CONTROL,
        Channel::Peer => PEER,
        Channel::Event => EVENT,
        Channel::Data => DATA_RAW,
        // Scripts have them as bytes like others.
        Channel::Keepalive => RAW,
    };
    parts(script, MOST).into_iter().filter_map(move |part| part.strip_prefix(&[kind]))
}

fn frame(channel: Channel, payload: &[u8], bytes: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(DATA)];
    if let Some(header) = (Header { channel, len: payload.len() }).encode() {
        bytes.extend(header);
        bytes.extend(payload);
    }
}

/// The script of what was said on the wire: streams are taken apart as far as they are packed.
pub(super) fn script(wire: &[u8]) -> Vec<Vec<u8>> {
    let (frames, _) = dsync_sync::fuzzing::frames(wire);
    let mut script = Vec::new();
    let mut stream = Vec::new();
    for (channel, payload) in frames {
        let kind = match channel {
            1 => CONTROL,
            2 => PEER,
            4 => EVENT,
            _ => {
                match payload.is_empty() {
                    true => {
                        taken_apart(&std::mem::take(&mut stream), &mut script);
                        script.push(vec![END]);
                    }
                    false => stream.extend(payload),
                }
                continue;
            }
        };
        taken_apart(&std::mem::take(&mut stream), &mut script);
        script.push([&[kind], &payload[..]].concat());
    }
    taken_apart(&stream, &mut script);
    script
}

fn taken_apart(mut stream: &[u8], script: &mut Vec<Vec<u8>>) {
    let mut raw = vec![DATA_RAW];
    while !stream.is_empty() {
        match hear(stream, 1 << 20).filter(|(said, _)| !said.is_empty()) {
            Some((said, rest)) => {
                if raw.len() > 1 {
                    script.push(std::mem::replace(&mut raw, vec![DATA_RAW]));
                }
                script.push([&[TOLD], &said[..]].concat());
                stream = rest;
            }
            None => {
                raw.push(stream[0]);
                stream = &stream[1..];
            }
        }
    }
    if raw.len() > 1 {
        script.push(raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_said_again() {
        let mut said = Vec::new();
        frame(Channel::Control, &[1, 2, 3], &mut said);
        frame(Channel::Peer, &[6], &mut said);
        frame(
            Channel::Data,
            &[&tell(b"columns")[..], &[0; 4], &tell(b"plans"), &[9; 30]].concat(),
            &mut said,
        );
        frame(Channel::Data, &[], &mut said);
        let script = script(&said);
        let kinds: Vec<u8> = script.iter().map(|part| part[0]).collect();
        assert_eq!(kinds, b"cptdtd.");
        let joined = crate::pieces::joined(&script.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (frames, _) = dsync_sync::fuzzing::frames(&wire(&joined)[..]);
        let stream = |frames: &[(u8, Vec<u8>)]| {
            frames
                .iter()
                .filter(|(channel, _)| *channel == 3)
                .flat_map(|(_, bytes)| bytes.clone())
                .collect::<Vec<u8>>()
        };
        let before = dsync_sync::fuzzing::frames(&said[..]).0;
        assert_eq!(stream(&frames), stream(&before));
        assert_eq!((frames[0].clone(), frames[1].clone()), (before[0].clone(), before[1].clone()));
        assert_eq!(messages(&joined, Channel::Peer).collect::<Vec<_>>(), [&[6][..]]);
    }
}
