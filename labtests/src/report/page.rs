//! The page of a run: one HTML file with the style, the scripts and the data in it, which any browser shows without a network.

use std::borrow::Cow;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// The scripts, each after those that it uses while it is loaded.
const SCRIPTS: [&str; 20] = [
    include_str!("page/words.js"),
    include_str!("page/data.js"),
    include_str!("page/states.js"),
    include_str!("page/calls.js"),
    include_str!("page/filter.js"),
    include_str!("page/view.js"),
    include_str!("page/theme.js"),
    include_str!("page/layout.js"),
    include_str!("page/axis.js"),
    include_str!("page/lanes.js"),
    include_str!("page/arrows.js"),
    include_str!("page/history.js"),
    include_str!("page/list.js"),
    include_str!("page/logs.js"),
    include_str!("page/panel.js"),
    include_str!("page/pointer.js"),
    include_str!("page/controls.js"),
    include_str!("page/keys.js"),
    include_str!("page/surface.js"),
    include_str!("page/app.js"),
];

/// Starts the page, so it is the last one.
const MAIN: &str = include_str!("page/main.js");

/// The page that shows `data_json`, which is one JSON object as docs/STORY.md describes it.
pub fn page(data_json: &str, title: &str) -> String {
    // `</script>` and `<!--` would end or hide the data. JSON has "<" only inside of strings, and there it may be escaped.
    let data = data_json.replace('<', "\\u003c");
    let mut page = String::with_capacity(data.len() + 200_000);
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the template closes what it opens");
        page.push_str(before);
        match name {
            "title" => page.push_str(&escaped(title)),
            "style" => page.push_str(STYLE),
            "data" => page.push_str(&data),
            "scripts" => SCRIPTS.iter().chain([&MAIN]).for_each(|script| {
                page.extend(["<script>\n", script, "</script>\n"]);
            }),
            name => unreachable!("the template has a place for {name}, and nothing is put there"),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// A text in which nothing is markup.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return text.into();
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_template_is_filled() {
        let page = page(r#"{"head":{}}"#, "2B backup, seed 7");
        assert!(page.contains("<title>2B backup, seed 7</title>"));
        assert!(
            page.contains(r#"<script type="application/json" id="story">{"head":{}}</script>"#)
        );
        assert!(page.contains(STYLE));
        for script in SCRIPTS.iter().chain([&MAIN]) {
            assert!(page.contains(script));
        }
        assert_eq!(page.find("{{"), None);
    }

    /// The page is sent by mail and opened years later, so it must not need anything else.
    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = page("{}", "");
        for link in ["http://", "https://", "import ", "src=", "@import", "url("] {
            assert_eq!(page.find(link), None, "{link}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn data_cannot_leave_its_script() {
        let command = r#"["</script><script>alert(1)</script>", "<!-- <script", "{{title}}"]"#;
        let page = page(command, "a <b> & \"c\"");
        assert!(page.contains(r#"["\u003c/script>\u003cscript>alert(1)\u003c/script>", "\u003c!-- \u003cscript", "{{title}}"]"#));
        assert!(page.contains("<title>a &lt;b&gt; &amp; &quot;c&quot;</title>"));
        // Nothing else than the data and the scripts is a script.
        assert_eq!(page.matches("<script").count(), 1 + SCRIPTS.len() + 1);
        assert_eq!(page.matches("</script>").count(), 1 + SCRIPTS.len() + 1);
    }

    /// A script that contains the words that end it would end too early.
    #[test]
    fn no_script_ends_itself() {
        for script in SCRIPTS.iter().chain([&MAIN]) {
            for word in ["</script", "<!--", "<script", "innerHTML", "{{"] {
                assert_eq!(script.find(word), None, "{word}");
            }
        }
    }
}
