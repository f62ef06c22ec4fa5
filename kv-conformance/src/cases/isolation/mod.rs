//! Cases of the family `isolation`: no two pairs of bucket and key meet.

mod collisions;
mod names;
mod neighbours;

use crate::case::case;
use crate::{Case, Needs};

use collisions::{random_pairs, same_key_in_many_buckets, separator_collisions};
use names::{
    bucket_name_limit, internal_bucket_names, longest_names_differ_in_the_last_byte, names_of_every_kind,
    the_empty_name,
};
use neighbours::{
    batches_stay_in_their_bucket, counters_and_handles_stay_apart, deadlines_stay_apart, drop_keeps_neighbours,
    glob_names_are_plain, listing_shows_its_own, prefixes_do_not_cross,
};

pub(super) const CASES: &[Case] = &[
    case!(Isolation, separator_collisions, ["NAM-3"]),
    case!(Isolation, random_pairs, ["NAM-3"]),
    case!(Isolation, same_key_in_many_buckets, ["NAM-3", "BKT-2"]),
    case!(Isolation, names_of_every_kind, ["NAM-1", "BKT-3"]),
    case!(Isolation, the_empty_name, ["NAM-2"]),
    case!(Isolation, internal_bucket_names, ["NAM-3"]),
    case!(Isolation, bucket_name_limit, ["LIM-1", "LIM-2"]),
    case!(Isolation, longest_names_differ_in_the_last_byte, ["LIM-1", "NAM-1"]),
    case!(Isolation, glob_names_are_plain, ["NAM-3", "BKT-3"]),
    case!(Isolation, drop_keeps_neighbours, ["BKT-3", "NAM-3"]),
    case!(Isolation, listing_shows_its_own, ["NAM-3", "LST-1"]),
    case!(Isolation, prefixes_do_not_cross, ["NAM-3", "LST-1"]),
    case!(Isolation, batches_stay_in_their_bucket, ["NAM-3", "BAT-2"]),
    case!(Isolation, counters_and_handles_stay_apart, ["NAM-3", "CAS-2"]).needs(Needs::Atomic),
    case!(Isolation, deadlines_stay_apart, ["NAM-3", "TTL-2"]).needs(Needs::Cache),
];
