//! The list of the rules.

/// Generates the tests of all rules for the store of a [`Harness`](crate::store::suite::Harness).
/// The [module](crate::store::suite) has
/// an example.
///
/// The argument is an expression that creates the harness. For several stores in one file, put each call
/// into its own module.
#[macro_export]
macro_rules! store_suite {
    (@tests $harness:expr; $($rule:ident,)+) => {$(
        #[::actix_web::test]
        async fn $rule() {
            $crate::store::suite::$rule(&$harness).await;
        }
    )+};
    // The list of all tests. A function that is not listed is not run.
    ($harness:expr) => {
        $crate::store_suite! {
            @tests $harness;
            // Rule 1
            a_session_is_found_with_every_field_as_it_was,
            what_a_session_does_not_say_is_not_made_up,
            an_empty_text_is_not_a_missing_one,
            text_of_255_characters_in_any_script_is_kept,
            data_of_any_length_and_content_are_kept,
            times_are_kept_to_the_millisecond,
            a_session_that_has_ended_stays_until_it_is_deleted,
            sessions_whose_ids_are_alike_are_different_sessions,
            sessions_created_at_once_are_all_there,
            a_create_that_is_dropped_is_done_or_not_done,
            // Rule 2
            a_taken_id_is_refused_and_the_first_session_stays,
            of_creators_of_one_id_at_once_exactly_one_succeeds,
            // Rule 3
            an_unknown_session_is_not_found,
            a_renewal_of_an_unknown_session_creates_nothing,
            changes_of_an_unknown_session_create_nothing,
            // Rule 4
            a_renewal_sets_its_three_times_and_nothing_else,
            a_renewal_of_what_has_moved_on_is_refused_and_changes_nothing,
            a_renewal_of_what_was_set_back_is_refused_and_changes_nothing,
            a_renewal_to_earlier_ends_keeps_the_session_until_the_new_end,
            a_renewal_by_a_replaced_token_is_refused_and_changes_nothing,
            a_renewal_that_is_dropped_is_done_or_not_done,
            // Rule 5
            of_renewals_at_once_exactly_one_is_done,
            of_renewals_to_earlier_ends_at_once_exactly_one_is_done,
            // Rule 6
            a_delete_says_whether_the_session_was_there,
            a_delete_takes_no_other_session,
            a_renewal_after_a_delete_brings_nothing_back,
            a_delete_amid_renewals_is_final,
            changes_after_a_delete_bring_nothing_back,
            a_delete_amid_changes_is_final,
            of_deletes_at_once_exactly_one_finds_the_session,
            a_delete_that_is_dropped_is_done_or_not_done,
            // Rule 7
            all_sessions_of_a_user_are_deleted_and_counted,
            the_session_to_keep_is_kept,
            an_unknown_session_to_keep_saves_none,
            a_session_to_keep_of_another_user_saves_none,
            // Rule 8
            the_sessions_of_a_user_are_listed_newest_first,
            a_list_is_whole_and_has_nothing_of_others,
            the_times_of_the_sessions_of_a_user_are_listed,
            // Rule 9
            a_session_expires_to_the_millisecond,
            expired_sessions_are_deleted_in_bounded_batches,
            a_guest_expires_to_the_millisecond,
            expired_guests_and_sessions_share_one_batch,
            // Rule 10
            users_whose_ids_are_alike_see_their_own_sessions,
            users_whose_ids_are_alike_lose_their_own_sessions,
            // Rule 11
            a_session_comes_with_its_user_or_not_at_all,
            // Rule 12
            the_sessions_of_a_removed_user_are_gone,
            no_session_is_created_for_a_user_who_never_was,
            no_session_is_created_for_a_user_who_is_gone,
            a_new_user_does_not_inherit_the_sessions_of_a_removed_one,
            // Rule 13
            a_create_ends_the_sessions_and_overwrites_the_guest_it_names,
            a_create_takes_no_notice_of_unknown_ids,
            a_create_with_a_taken_id_ends_nothing,
            creators_at_once_may_end_the_same_session,
            a_create_that_is_dropped_ends_nothing_without_it,
            a_create_takes_over_the_data_it_has_read,
            a_create_that_would_take_over_other_data_changes_nothing,
            of_creators_at_once_one_takes_over_the_data,
            a_write_and_a_create_that_takes_over_its_data_exclude_each_other,
            // Rule 14
            a_change_of_the_token_changes_nothing_else,
            a_rotation_comes_and_goes_with_the_token,
            the_digest_of_a_credential_is_replaced_with_the_token,
            a_change_of_another_token_is_refused_and_changes_nothing,
            a_change_of_the_token_that_is_dropped_is_done_or_not_done,
            // Rule 15
            of_changes_of_one_token_at_once_exactly_one_is_done,
            // Rule 16
            a_write_of_data_changes_nothing_else,
            the_first_data_come_to_a_session_without_any,
            a_write_of_data_that_have_moved_on_is_refused,
            a_write_of_data_that_is_dropped_is_done_or_not_done,
            // Rule 17
            of_writes_of_data_at_once_exactly_one_is_done,
            changes_of_different_parts_at_once_lose_nothing_of_each_other,
            // Rule 18
            a_guest_is_found_with_every_field_as_it_was,
            a_taken_id_is_refused_and_the_first_guest_stays,
            of_new_guests_of_one_id_at_once_exactly_one_is_stored,
            a_guest_and_a_session_may_have_one_id,
            a_new_guest_that_is_dropped_is_stored_or_not,
            // Rule 19
            a_guest_is_overwritten_but_for_its_secret,
            a_guest_that_has_moved_on_is_not_overwritten,
            an_overwrite_of_an_unknown_guest_creates_nothing,
            of_overwrites_of_a_guest_at_once_exactly_one_is_done,
            an_overwrite_of_a_guest_that_is_dropped_is_done_or_not_done,
            // Rule 20
            a_delete_says_whether_the_guest_was_there,
            a_delete_of_a_guest_amid_overwrites_is_final,
            // Rule 21
            guests_are_counted_until_their_end_to_the_millisecond,
            a_count_of_guests_follows_whatever_ends_them,
            guests_written_at_once_are_all_counted,
            // Rule 22
            a_user_is_found_by_their_id_alone,
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_test_is_in_the_list() {
        let list = include_str!("rules.rs");
        for rules in [
            include_str!("sessions.rs"),
            include_str!("users.rs"),
            include_str!("ends.rs"),
            include_str!("changes.rs"),
            include_str!("guests.rs"),
        ] {
            let functions = rules.split("pub async fn ").skip(1);
            for name in functions.filter_map(|function| function.split('<').next()) {
                assert!(list.contains(&format!(" {name},\n")), "`{name}` is not in the list");
            }
        }
    }
}
