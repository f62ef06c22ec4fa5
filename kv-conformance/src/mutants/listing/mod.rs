//! Mutants that the family `listing` must catch.

mod cost;
mod cursors;
mod pages;

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Listing, "page_drops_its_last_key", pages::DropsLastKey, "LST-1"),
    mutant!(Listing, "listing_ends_after_a_page", pages::EndsAfterAPage, "LST-1"),
    mutant!(Listing, "page_repeats_a_key", pages::RepeatsAKey::default(), "LST-1"),
    mutant!(Listing, "listing_never_ends", pages::NeverEnds, "LST-1"),
    mutant!(Listing, "page_limit_is_a_hint", pages::LimitIsAHint, "LST-1"),
    mutant!(Listing, "page_has_no_byte_limit", pages::NoByteLimit, "LST-1"),
    mutant!(Listing, "byte_limit_loses_a_key", pages::ByteLimitLosesAKey, "LST-1"),
    mutant!(Listing, "listing_shows_an_internal_key", pages::ShowsInternalKey, "LST-1"),
    mutant!(Listing, "overwritten_keys_hide_from_a_scan", pages::OverwrittenKeysHide::default(), "LST-1"),
    mutant!(Listing, "expired_keys_are_listed", pages::ListsExpired::default(), "TTL-2"),
    mutant!(Listing, "listing_prefix_is_a_pattern", pages::PrefixIsAPattern, "LST-1"),
    mutant!(Listing, "prefix_excludes_the_key_itself", pages::PrefixExcludesItself, "LST-1"),
    mutant!(Listing, "prefix_of_the_last_character_is_empty", pages::PrefixOfLastCharacter, "LST-1"),
    mutant!(Listing, "prefix_is_lower_cased", pages::PrefixLowerCased, "LST-1"),
    mutant!(Listing, "offset_cursor", cursors::Offset, "LST-1"),
    mutant!(Listing, "rubbish_cursor_panics", cursors::RubbishPanics, "LST-2"),
    mutant!(Listing, "rubbish_cursor_begins_anew", cursors::RubbishBeginsAnew, "LST-2"),
    mutant!(Listing, "rubbish_cursor_ends_the_listing", cursors::RubbishEnds, "LST-2"),
    mutant!(Listing, "cursor_is_unchecked", cursors::Unchecked, "LST-2"),
    mutant!(Listing, "cursor_of_any_bucket", cursors::OfAnyBucket, "LST-2"),
    mutant!(Listing, "cursor_leads_to_its_own_bucket", cursors::LeadsToItsBucket, "LST-2"),
    mutant!(Listing, "cursor_works_once", cursors::WorksOnce::default(), "LST-2"),
    mutant!(Listing, "cursor_is_lost_at_restart", cursors::LostAtRestart::default(), "LST-2"),
    mutant!(Listing, "cursor_dies_with_its_key", cursors::DiesWithItsKey, "LST-2"),
    mutant!(Listing, "cursor_forgets_the_prefix", cursors::ForgetsPrefix, "LST-2"),
    mutant!(Listing, "deep_pages_read_from_the_start", cost::ReadsFromTheStart, "LST-2"),
    mutant!(Listing, "page_scans_other_buckets", cost::ScansOtherBuckets, "LST-2"),
    mutant!(Listing, "page_loads_values", cost::LoadsValues, "LST-3"),
    mutant!(Listing, "listed_keys_are_kept", cost::KeepsKeys, "LST-3").measured(),
    mutant!(Listing, "scan_holds_up_writers", cost::HoldsUpWriters::default(), "LST-3"),
];
