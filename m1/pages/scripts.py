"""The scripts that draw charts, for pages that load nothing."""

import vl_convert


def chart_scripts() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; it takes seconds to bundle them.

    The script defines `vegaEmbed`, and nothing else that a page sees.
    """
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # A script in a page ends at the first such tag, even inside a string.
    return f"(() => {{{bundle}}})();".replace("</script", r"<\/script")
