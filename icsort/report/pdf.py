# SPDX-License-Identifier: Apache-2.0
"""A report's page as PDF, by WeasyPrint (icsort[pdf]) and the Pango library that it calls."""

from pathlib import Path
from typing import Any, Final

from icsort.errors import IcsortError

PDF_FILE: Final = "report.pdf"


def check_pdf() -> Any:
    """WeasyPrint. Raises IcsortError, with what to install, where it or Pango is missing."""
    try:
        import weasyprint
    except ModuleNotFoundError as error:
        raise IcsortError(f"--pdf: {error.name} is not installed: pip install 'icsort[pdf]'") from None
    except OSError:
        raise IcsortError(
            "--pdf: the Pango library is not installed (Debian: apt install libpango-1.0-0 libpangoft2-1.0-0); or open "
            "the page in a browser and print it"
        ) from None
    return weasyprint


def write_pdf(page: Path, pdf: Path) -> None:
    """Print a page that needs nothing else. Raises IcsortError as `check_pdf`, OSError where the disk does."""
    weasyprint = check_pdf()
    only_pictures_in_it = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    document = weasyprint.HTML(string=page.read_text(encoding="utf-8"), url_fetcher=only_pictures_in_it)
    pdf.write_bytes(document.write_pdf())
