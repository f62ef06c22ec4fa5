use super::*;

fn long(tail: &str) -> String {
    "k".repeat(WHOLE_KEY_BYTES) + tail
}

#[test]
fn no_two_pairs_of_bucket_and_key_share_a_physical_key() {
    let mut keys = vec![String::new(), "a".into(), "a\0".into(), "\u{10FFFF}".into()];
    keys.extend((STEM_BYTES - 2..WHOLE_KEY_BYTES + 3).map(|len| "k".repeat(len)));
    keys.extend(["a", "b"].map(long));
    let mut seen = std::collections::HashSet::new();
    for id in [1, 2, 0xF7, 0xF8, 0xFF, 0x100, 0xF800, 0xFFFF, u64::MAX - 1] {
        for key in &keys {
            let physical = EntryKey::new(id, key);
            assert!(physical.as_slice().len() <= ID_BYTES + WHOLE_KEY_BYTES);
            assert!(seen.insert(physical.as_slice().to_vec()), "{} bytes", key.len());
            let (found, rest) = split_id(physical.as_slice()).unwrap();
            assert_eq!(found, id);
            assert_eq!(whole_key(rest), (!is_long(key)).then_some(key.as_str()));
        }
    }
}

#[test]
fn prefix_ranges_hold_exactly_the_keys_with_that_prefix_up_to_the_stem() {
    let keys = [String::new(), "a".into(), "ab".into(), "b".into(), "k".repeat(390), long(""), long("x")];
    for id in [7, 0xF7, 0xF8, 0xFF, 0x100, u64::MAX - 1] {
        for prefix in ["", "a", "k", &"k".repeat(STEM_BYTES), &"k".repeat(STEM_BYTES + 1), &long("x")] {
            let ranges = prefix_ranges(id, prefix);
            for key in &keys {
                let physical = EntryKey::new(id, key).as_slice().to_vec();
                let inside = ranges.iter().any(|range| range.contains(&physical));
                assert!(inside || !key.starts_with(prefix), "{} in {}", key.len(), prefix.len());
                if !is_long(key) {
                    assert_eq!(inside, key.starts_with(prefix), "{} in {}", key.len(), prefix.len());
                }
            }
            for other in [id - 1, id + 1] {
                let foreign = EntryKey::new(other, prefix).as_slice().to_vec();
                assert!(!ranges.iter().any(|range| range.contains(&foreign)), "of {other} in {id}");
            }
        }
    }
}

#[test]
fn ranges_end_behind_everything_that_begins_alike() {
    assert_eq!(after(&[1, 255, 255]), vec![2]);
    assert!(bucket_range(255).contains(&EntryKey::new(255, "\u{10FFFF}").as_slice().to_vec()));
    assert!(!bucket_range(255).contains(&EntryKey::new(256, "").as_slice().to_vec()));
    assert!(part_range(3, Part::Key).contains(&chunk_key(3, Part::Key, u32::MAX).to_vec()));
    assert!(!part_range(3, Part::Key).contains(&chunk_key(3, Part::Value, 0).to_vec()));
}

#[test]
fn ids_stand_in_their_order_and_none_begins_another() {
    let ids: Vec<u64> = [0, 1, 0xF7, 0xF8, 0xFF, 0x100, 0xF8F8, 0xFFFF, 0x1_0000, u64::MAX - 1].to_vec();
    let encoded: Vec<Vec<u8>> = ids.iter().map(|id| Id::new(*id).as_slice().to_vec()).collect();
    assert!(encoded.is_sorted());
    for (at, one) in encoded.iter().enumerate() {
        assert_eq!(split_id(one), Some((ids[at], &[][..])));
        for (other, range) in encoded.iter().zip(ids.iter().map(|id| bucket_range(*id))) {
            assert_eq!(one == other, range.contains(one), "{one:?} in the range of {other:?}");
        }
    }
    assert_eq!(split_id(&[]), None);
    assert_eq!(split_id(&[0xF9, 1]), None);
    // Nor is any id written in two ways.
    for long_winded in [&[0xF8, 0xF7][..], &[0xF9, 0, 0xF8], &[0xFF, 0, 0, 0, 0, 0, 0, 1, 0]] {
        assert_eq!(split_id(long_winded), None);
    }
}

#[test]
fn worst_nodes_stay_below_the_blob_threshold() {
    let threshold = SEGMENT_BYTES / 4 - 52;
    let head = 64;
    let leaf = 17 + 17 + 34;
    assert!(leaf * (CHUNK_BYTES + 13 + 8) + 1024 < threshold);
    assert!(leaf * (ID_BYTES + WHOLE_KEY_BYTES + INLINE_VALUE_BYTES + head) < threshold);
    assert!((257 + 64) * (8 + ID_BYTES + WHOLE_KEY_BYTES + 16) < threshold);
}
