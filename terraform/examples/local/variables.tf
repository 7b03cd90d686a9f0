variable "lab_name" {
  description = "Name of the lab."
  type        = string
  default     = "demo"
}

variable "members" {
  description = "How many guests."
  type        = number
  default     = 3
}

variable "machine_type" {
  description = "Size of a guest: processors, x, MiB of memory."
  type        = string
  default     = "1x768"
}

variable "disk_size_gb" {
  description = "Size of each guest's blank data disk."
  type        = number
  default     = 4
}

variable "ttl_minutes" {
  description = "After how many minutes the guests stop by themselves."
  type        = number
  default     = 240
}

variable "slot" {
  description = "Place of the lab on this machine (0 to 249); null takes one by the lab's name."
  type        = number
  default     = null
}
