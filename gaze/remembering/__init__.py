"""Where rows are kept that a frozen network has computed: in main memory, or in files that later runs read."""
