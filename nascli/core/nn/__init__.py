"""Networks: operations, cells, stems, whole networks derived or searching, and their sizes."""
