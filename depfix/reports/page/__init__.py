"""The report as one page: Python lays it out, `page.html.j2` writes it, styles, scripts and libraries go inside."""
