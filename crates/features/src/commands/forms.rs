//! What the commands of service administration ask (XEP-0133 §4).

use xmpp::ns;

use super::admin::Task;
use crate::data_form::{FieldType, Form};

/// The form of a command; none: it asks nothing.
pub(super) fn of(task: Task) -> Option<Form> {
    let asking = |title, instructions| Form::asking(ns::ADMIN, title, instructions);
    let accounts = |title, instructions| {
        asking(title, instructions).ask("accountjids", FieldType::JidMulti, "The accounts", true)
    };
    let account = |title, instructions| {
        asking(title, instructions).ask("accountjid", FieldType::JidSingle, "The account", true)
    };
    let list = |title| {
        asking(title, "Choose how many to show.").choose(
            "max_items",
            "How many",
            &["25", "50", "100", "200", "none"],
        )
    };
    Some(match task {
        Task::AddUser => account("Add a user", "Name the account and its password.")
            .ask("password", FieldType::TextPrivate, "The password", true)
            .ask("password-verify", FieldType::TextPrivate, "The password again", true),
        Task::DeleteUser => accounts("Delete users", "They are removed with all that is kept of them."),
        Task::DisableUser => accounts("Disable users", "They can no longer log in; nothing is removed."),
        Task::ReenableUser => accounts("Re-enable users", "They can log in again."),
        Task::EndSession => accounts("End sessions", "All sessions of these accounts end."),
        Task::ChangePassword => account("Change a password", "Name the account and its new password.").ask(
            "password",
            FieldType::TextPrivate,
            "The new password",
            true,
        ),
        Task::LastLogin => accounts("Last login", "Tells when these accounts were last there."),
        Task::UserStats => account("User statistics", "Tells contacts and sessions of an account."),
        Task::RegisteredList => list("Registered users"),
        Task::OnlineList => list("Online users"),
        Task::Announce => asking("Announcement", "It is sent to everybody who is online.").ask(
            "announcement",
            FieldType::TextMulti,
            "The announcement",
            true,
        ),
        Task::RegisteredCount | Task::OnlineCount => return None,
    })
}
