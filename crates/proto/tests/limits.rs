//! The limits, which are part of the protocol where both ends go by them: a change of one is a change of the wire.

use dsync_proto::limits;

#[test]
fn the_limits_are_those_of_the_protocol() {
    let frames = [limits::NOISE, limits::DATA, limits::CONTROL, limits::PEER, limits::EVENT, limits::MESSAGE];
    assert_eq!(frames, [65_536, 262_144, 16_777_216, 16_777_216, 16_384, 67_108_864]);
    let counts =
        [limits::LAYERS, limits::COSTS, limits::ITEMS, limits::DOCUMENT_COUNT, limits::ADDRESS_MAP_COUNT];
    assert_eq!(counts, [4_096, 8_292, 2_097_152, 4_096, 65_536]);
    assert_eq!((limits::LAYER, limits::ENTRIES), (17_592_186_044_416, 8_388_608));
    let sections =
        [limits::DOCUMENT, limits::DOCUMENTS, limits::LENGTHS, limits::ADDRESS_MAPS, limits::STREAMS];
    assert_eq!(sections, [4_194_304, 16_777_216, 8_388_608, 33_554_432, 4_194_304]);
    assert_eq!((limits::CODE, limits::PATCH_HEAD), (2_097_152, 4_194_304));
    assert_eq!(
        [limits::RECIPES, limits::SECTION_BLOCK, limits::INFLATED],
        [12_582_912, 4_194_304, 20_971_520]
    );
    assert_eq!([limits::BATCH, limits::BATCH_LEAST], [25_165_824, 1_048_576]);
}

#[test]
fn what_is_packed_may_be_an_eighth_longer_and_a_little() {
    assert_eq!([0, 1, 8, 8_000_000].map(limits::packed), [65_536, 65_537, 65_545, 9_065_536]);
}
